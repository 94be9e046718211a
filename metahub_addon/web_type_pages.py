"""The pages for administrators: add, change and remove a machine type.

A form tells by a hidden digest (`shown`) from which state a change was made: what somebody
else has done since is not lost without a word.
"""

from tornado.web import HTTPError

from metahub_addon.hub import Crossed, NotAllowed
from metahub_addon.hub_config import ReadOnly
from metahub_addon.machine import MachineType
from metahub_addon.strict_yaml import InvalidYaml
from metahub_addon.type_digest import digest_of
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

ANOTHER = "Somebody else has changed it since you opened this."


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
        machine = self.type_named(name) if name else None
        self._show(form_of(machine) if machine else TypeForm(), name, digest_of(machine))

    async def post(self) -> None:
        """Add or change. `was` is the name of the machine type that is changed."""
        form = TypeForm(**{key: self.field(key) for key in FIELDS if self.field(key)})
        was = self.field("was")
        if was:
            self.type_named(was)
        name = was or form.name
        try:
            await self.hub.put_type(self.who, {**type_text(form), "name": name}, self._shown)
        except Crossed:
            self._cross(form, was)
        except InvalidYaml as error:
            self._refuse(400, form, was, without_source(str(error)))
        except ReadOnly as error:
            self._refuse(409, form, was, str(error))
        except NotAllowed as error:
            self._refuse(403, form, was, str(error))
        else:
            self.tell(f"Machine type {name} is {'changed' if was else 'added'}.")
            self.go("./")

    @property
    def _shown(self) -> str:
        """What the change was made from; a new machine type from nothing."""
        return self.field("shown") if self.field("was") else ""

    def _cross(self, form: TypeForm, was: str) -> None:
        """Keep what was written; to send it again is then a choice."""
        self.set_status(409)
        if was:
            self._show(form, was, digest_of(self.type_named(was)), ANOTHER, crossed=True)
        else:
            self._show(form, was, "", f"name: there is a machine type {form.name} already")

    def _refuse(self, status: int, form: TypeForm, was: str, problem: str) -> None:
        self.set_status(status)
        self._show(form, was, self._shown, problem)

    def _show(
        self, form: TypeForm, was: str, shown: str, problem: str = "", crossed: bool = False
    ) -> None:
        self.show(
            "type.html",
            f"Change {was}" if was else "Add a machine type",
            form=form,
            was=was,
            shown=shown,
            choices=CHOICES,
            problem=problem,
            wrong=field_of(problem),
            crossed=crossed,
        )


class RemovePage(_TypesChange):
    """Asks once more, then removes."""

    def get(self) -> None:
        """The question."""
        machine = self.type_named(self.asked("name"))
        self._show(machine, digest_of(machine))

    async def post(self) -> None:
        """The answer."""
        machine = self.type_named(self.field("name"))
        try:
            await self.hub.remove_type(self.who, machine.name, self.field("shown"))
        except Crossed:
            self.set_status(409)
            now = self.type_named(machine.name)
            self._show(now, digest_of(now), ANOTHER, crossed=True)
        except (InvalidYaml, ReadOnly, NotAllowed) as error:
            self.set_status(403 if isinstance(error, NotAllowed) else 409)
            self._show(machine, self.field("shown"), str(error))
        else:
            self.tell(f"Machine type {machine.name} is removed.")
            self.go("./")

    def _show(
        self, machine: MachineType, shown: str, problem: str = "", crossed: bool = False
    ) -> None:
        self.show(
            "remove.html",
            f"Remove {machine.name}",
            machine=machine,
            shown=shown,
            problem=problem,
            crossed=crossed,
        )


TYPE_PAGES = (("/type", TypePage), ("/remove", RemovePage))
