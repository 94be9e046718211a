"""The pages for administrators: add, change and remove a machine type."""

from tornado.web import HTTPError

from metahub_addon.hub import NotAllowed
from metahub_addon.hub_config import ReadOnly
from metahub_addon.machine import MachineType
from metahub_addon.strict_yaml import InvalidYaml
from metahub_addon.web_page import Page
from metahub_addon.web_type_form import (
    CHOICES,
    FIELDS,
    TypeForm,
    field_of,
    form_of,
    type_text,
    without_source,
)


class _TypesChange(Page):
    here = "./"
    needs_administrator = True

    def type_named(self, name: str) -> MachineType:
        """The machine type; raises HTTPError."""
        found = self.hub.config.types.get(name)
        if found is None:
            raise HTTPError(404)
        return found


class TypePage(_TypesChange):
    """The form of a new machine type, or of one that is there (`name`)."""

    def get(self) -> None:
        """The form, filled with what is there."""
        name = self.asked("name")
        self._show(form_of(self.type_named(name)) if name else TypeForm(), name)

    async def post(self) -> None:
        """Add or change. `was` is the name of the machine type that is changed."""
        form = TypeForm(**{key: self.field(key) for key in FIELDS if self.field(key)})
        was = self.field("was")
        if was:
            self.type_named(was)
        name = was or form.name
        if not was and name in self.hub.config.types:
            self._refuse(409, form, was, f"name: there is a machine type {name} already")
            return
        try:
            await self.hub.put_type(self.who, {**type_text(form), "name": name})
        except InvalidYaml as error:
            self._refuse(400, form, was, without_source(str(error)))
        except ReadOnly as error:
            self._refuse(409, form, was, str(error))
        except NotAllowed as error:
            self._refuse(403, form, was, str(error))
        else:
            self.tell(f"Machine type {name} is {'changed' if was else 'added'}.")
            self.go("./")

    def _refuse(self, status: int, form: TypeForm, was: str, problem: str) -> None:
        self.set_status(status)
        self._show(form, was, problem)

    def _show(self, form: TypeForm, was: str, problem: str = "") -> None:
        title = f"Change {was}" if was else "Add a machine type"
        wrong = field_of(problem)
        self.show(
            "type.html", title, form=form, was=was, choices=CHOICES, problem=problem, wrong=wrong
        )


class RemovePage(_TypesChange):
    """Asks once more, then removes."""

    def get(self) -> None:
        """The question."""
        self._show(self.type_named(self.asked("name")))

    async def post(self) -> None:
        """The answer."""
        machine = self.type_named(self.field("name"))
        try:
            await self.hub.remove_type(self.who, machine.name)
        except (InvalidYaml, ReadOnly, NotAllowed) as error:
            self.set_status(403 if isinstance(error, NotAllowed) else 409)
            self._show(machine, str(error))
        else:
            self.tell(f"Machine type {machine.name} is removed.")
            self.go("./")

    def _show(self, machine: MachineType, problem: str = "") -> None:
        self.show("remove.html", f"Remove {machine.name}", machine=machine, problem=problem)


TYPE_PAGES = (("/type", TypePage), ("/remove", RemovePage))
