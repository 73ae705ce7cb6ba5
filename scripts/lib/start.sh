# shellcheck shell=bash
# What every script starts with: where it is, how it fails, and the programs it is about. Sourced by the scripts one
# level up, each of which has defined `usage` before its arguments are read.
# shellcheck disable=SC2034  # The scripts use what is set here.

# Sourced from the caller's directory; everything below happens in the root of the checkout.
readonly here=$PWD script=${0##*/}
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
readonly root
cd "$root" || exit

# ---- how it fails

# The exit status is 2, unless the script has set `failure_status`.
die() {
    printf '%s: %s\n' "$script" "$*" >&2
    exit "${failure_status:-2}"
}

usage_error() {
    printf '%s: %s (see --help)\n' "$script" "$*" >&2
    exit 2
}

# For what cannot run here, and need not.
skip() {
    printf 'skipped: %s\n' "$*"
    exit 0
}

need() { # PROGRAM...
    local program
    for program; do
        command -v "$program" >/dev/null || die "no $program"
    done
}

# Whether a search finds something: 1 says that it does not, and more that it has not looked, which ends the script. In a
# subshell it ends that alone.
finds() { # GREP...
    local status=0
    "$@" || status=$?
    ((status < 2)) || die "status $status of $*"
    return "$status"
}

# ---- arguments

# For a script that takes no argument but --help.
only_help() { # ARGUMENT...
    case ${1:-} in
    '') ;;
    -h | --help)
        usage
        exit
        ;;
    *) usage_error "unknown argument: $1" ;;
    esac
}

# Fails unless something follows the first argument, which is a flag.
need_value() { # FLAG VALUE...
    (($# > 1)) || usage_error "$1 needs a value"
}

# ---- paths

# A path that the user gave, who means the directory the script was called from.
absolute() { # PATH
    if [[ $1 == /* ]]; then printf '%s\n' "$1"; else printf '%s/%s\n' "$here" "$1"; fi
}

# Where cargo builds, which it takes relative to where it runs.
target=${CARGO_TARGET_DIR:-target}
[[ $target == /* ]] || target=$root/$target
readonly target

# ---- the programs of this workspace

# Sets `bin` to CODEX_BIN_DIR, or builds with these arguments and sets it to where cargo puts the programs.
find_or_build() { # CARGO-BUILD-ARGUMENT...
    if [[ ${CODEX_BIN_DIR:-} ]]; then
        bin=$(absolute "$CODEX_BIN_DIR")
        [[ -d $bin ]] || die "no directory $CODEX_BIN_DIR"
    else
        cargo build --locked "$@"
        bin=$target/debug
        [[ " $* " != *' --release '* ]] || bin=$target/release
    fi
    readonly bin
}

need_in_bin() { # NAME...
    local name
    for name; do
        [[ -f $bin/$name && -x $bin/$name ]] || die "no $name in $bin"
    done
}

# ---- the environment

# Unsets what would lead the programs astray: what follows is about loopback only, and about what is set on purpose.
keep_to_loopback() {
    local name
    for name in $(compgen -e); do
        case ${name,,} in
        pythondontwritebytecode) ;;
        *_proxy | openai_* | codex_* | ssl_cert_* | ssl*keylog* | node_options | python*) unset "$name" ;;
        esac
    done
}
