# shellcheck shell=sh
# Sourced by the commands beside it; POSIX sh. Sets ROOT and VENV, and makes the environment when it is missing
# or older than what it was made from. When there is nothing to do it costs some 20 ms and says nothing.
#
#   PYTHON         the Python to make it with, if not the first suitable one on the PATH
#   TILLHOOK_VENV  where it is, if not in .venv

unset CDPATH PYTHONHOME
ROOT=$(CDPATH='' cd -- "$(dirname -- "$(readlink -f -- "$0" 2>/dev/null || printf '%s' "$0")")/.." && pwd -P) || exit 1
VENV=${TILLHOOK_VENV:-$ROOT/.venv}
case $VENV in /*) ;; *) VENV=$PWD/$VENV ;; esac
# A command may be started by another one (a test starts bin/serve): both then mean the same environment.
[ -z "${TILLHOOK_VENV:-}" ] || export TILLHOOK_VENV="$VENV"

env_say() { printf 'tillhook: %s\n' "$*" >&2; }

env_die() {
    env_say "$@"
    exit 1
}

env_hash() {
    if command -v sha256sum >/dev/null 2>&1; then sha256sum "$@"; else cksum "$@"; fi
}

# What the environment is made from, as one line. The root is in it because a copied checkout brings along an
# environment that points to the original, the exact Python because an upgrade may leave it without its packages.
env_wanted() {
    version=$("$VENV/bin/python" -I -S -c 'import platform; print(platform.python_version())' 2>/dev/null) || return 1
    cd -- "$ROOT" || return 1
    set -- bin/_env.sh constraints.txt
    for file in core/pyproject.toml libs/*/pyproject.toml plugins/*/pyproject.toml examples/*/pyproject.toml; do
        [ ! -f "$file" ] || set -- "$@" "$file"
    done
    { printf '%s %s\n' "$version" "$ROOT" && env_hash "$@"; } | env_hash | tr -d ' \n-'
}

# env_fresh LEVEL: is the environment there, made from the present files, for LEVEL (run or dev) at least?
env_fresh() {
    [ -f "$VENV/tillhook-stamp" ] || return 1
    read -r env_level env_stamp <"$VENV/tillhook-stamp" || return 1
    [ "$env_level" = dev ] || [ "$env_level" = "$1" ] || return 1
    [ "$env_stamp" = "$(env_wanted)" ]
}

env_find_python() {
    env_without_venv=
    for python in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11 python3.14 python3.15 python; do
        command -v "$python" >/dev/null 2>&1 || continue
        "$python" -I -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || continue
        if "$python" -I -c 'import ensurepip, fcntl, venv' 2>/dev/null; then
            return 0
        fi
        env_without_venv=${env_without_venv:-$python}
    done
    if [ -n "$env_without_venv" ]; then
        env_die "$("$env_without_venv" -V) ($(command -v "$env_without_venv")) can't make virtual environments:" \
            "its modules venv and ensurepip are missing. On Debian and Ubuntu: apt-get install python3-venv"
    fi
    env_die "needs Python 3.11 or newer, and found none on the PATH as python3, python3.11, python3.12 ...;" \
        "PYTHON=/path/to/python names one elsewhere"
}

env_pip() {
    "$VENV/bin/python" -I -m pip -qq --disable-pip-version-check --no-input "$@" >&2
}

# Distributions of this repository whose folder is gone (another branch has fewer plugins): their entry points
# would stay, and name what nobody can import.
env_orphans() {
    "$VENV/bin/python" -I - <<'PYTHON'
import json
from importlib.metadata import distributions
from pathlib import Path
from urllib.parse import unquote, urlsplit

for dist in distributions():
    origin = json.loads(dist.read_text("direct_url.json") or "{}")
    if not origin.get("dir_info", {}).get("editable"):
        continue
    if not Path(unquote(urlsplit(origin["url"]).path), "pyproject.toml").is_file():
        print(dist.name)
PYTHON
}

env_make() {
    env_level=$1
    # A checkout once used for tests stays ready for them, also when bin/serve is the one that finds it stale.
    if [ -f "$VENV/tillhook-dev" ]; then env_level=dev; fi

    # The mark is there while an installation runs; one that was killed may have left half a package.
    if [ -f "$VENV/tillhook-installing" ] || ! "$VENV/bin/python" -I -m pip --version >/dev/null 2>&1 ||
        ! grep -qxF "$ROOT" "$VENV/tillhook-root" 2>/dev/null; then
        env_find_python
        env_say "making $VENV with $("$python" -V) ..."
        env_out=$("$python" -I -m venv --clear "$VENV" 2>&1) || env_die "could not make $VENV:" "$env_out"
        printf '%s\n' "$ROOT" >"$VENV/tillhook-root"
    fi
    : >"$VENV/tillhook-installing"
    rm -f "$VENV/tillhook-stamp"

    cd -- "$ROOT" || return 1
    if [ "$env_level" = dev ]; then
        env_what='core, libraries, plugins, examples and the tools of the tests'
        : >"$VENV/tillhook-dev"
        set -- -e './core[testing,dev]'
        env_folders='libs/* plugins/* examples/*'
    else
        env_what='core, libraries and plugins'
        set -- -e ./core
        env_folders='libs/* plugins/*'
    fi
    for folder in $env_folders; do
        [ -f "$folder/pyproject.toml" ] || continue
        env_extra=
        # What its own tests need.
        case $env_level:$folder in dev:libs/* | dev:plugins/*) env_extra='[testing]' ;; esac
        set -- "$@" -e "./$folder$env_extra"
    done
    # Taken before the installation: a file changed meanwhile makes the result stale.
    env_stamp=$(env_wanted) || return 1
    env_say "installing $env_what ..."

    env_ok=0
    orphans=$(env_orphans)
    # shellcheck disable=SC2086 # one word per distribution
    { [ -z "$orphans" ] || env_pip uninstall --yes $orphans; } &&
        env_pip install --constraint constraints.txt setuptools &&
        env_pip install --constraint constraints.txt --no-build-isolation "$@" && env_ok=1
    # pip ended by itself, so nothing is half there: a failure keeps what worked before.
    rm -f "$VENV/tillhook-installing"
    [ "$env_ok" = 1 ] || env_die "the installation failed (see above); run the command again to retry"
    printf '%s %s\n' "$env_level" "$env_stamp" >"$VENV/tillhook-stamp"
}

# env_ready LEVEL: return when the environment can be used. run: core, libraries and plugins. dev: also the examples and
# what bin/test, bin/lint and bin/bench need.
env_ready() {
    env_fresh "$1" && return 0
    # One at a time per checkout: two installations would also meet in the same *.egg-info folders.
    (
        exec 9>"$ROOT/.venv.lock" || exit 1
        if command -v flock >/dev/null 2>&1; then
            flock -n 9 || {
                env_say "waiting for another command that is installing ..."
                flock 9
            }
        else
            env_find_python
            # The lock belongs to the open file, so it outlives this little process.
            "$python" -I -c 'import fcntl; fcntl.flock(9, fcntl.LOCK_EX)'
        fi || exit 1
        env_fresh "$1" || env_make "$1"
    ) || exit 1
}
