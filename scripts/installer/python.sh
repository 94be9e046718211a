# Sets python to $PYTHON, or to the first Python of the system that is new enough: the
# service runs with it, so one in a user's folder would not do.
python=
for candidate in ${PYTHON:-/usr/bin/python3 /usr/bin/python3.1[1-9] python3}; do
    command -v "$candidate" >/dev/null || continue
    if "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || {
    echo "$0: needs Python 3.11 or newer${PYTHON:+, which $PYTHON is not}; name one with PYTHON=…" >&2
    exit 2
}
