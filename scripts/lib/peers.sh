# shellcheck shell=bash
# Programs of others that ours is run with: fetched into a cache, and found there. Nothing is installed on the system.
# shellcheck disable=SC2154  # scripts/lib/start.sh sets `script`.

# The Codex CLI that is compared with, here and in scripts/compat: this is the one place that says its version.
readonly codex_cli_pins=scripts/compat.d/versions/codex

# The programs of Debian's packages and the libraries they need, unpacked into CACHE/debian. The packages' own scripts do
# not run, so no service is started. Like install_codex_cli below it says on standard error why it fails. The directory is
# not called `cache` here: the scripts have a readonly variable of that name, which bash lets no `local` stand before.
fetch_from_debian() { # CACHE PACKAGE...
    local into=$1 packages=() package
    shift
    command -v apt-get >/dev/null || {
        printf '%s: no apt-get; install these by hand: %s\n' "$script" "$*" >&2
        return 1
    }
    mapfile -t packages < <(
        apt-get --simulate --no-install-recommends install "$@" 2>/dev/null | awk '/^Inst/ { print $2 }'
    )
    ((${#packages[@]})) || packages=("$@")
    mkdir -p "$into/debian"
    (cd "$into" && apt-get -qq download "${packages[@]}") >/dev/null 2>&1 || {
        printf '%s: apt-get cannot download %s (apt-get update?)\n' "$script" "${packages[*]}" >&2
        return 1
    }
    for package in "$into"/*.deb; do
        dpkg-deb --extract "$package" "$into/debian" || return 1
        rm -f "$package"
    done
}

# For LD_LIBRARY_PATH: the directories of CACHE/debian that have a library.
debian_libraries() { # CACHE
    find_in "$1/debian" -name 'lib*.so*' -printf '%h\n' | sort -u | paste -sd:
}

# `find`, for a directory that may not be there: that there is no cache is not a failure that ends the script.
find_in() { # DIRECTORY ARGUMENT...
    [[ ! -d $1 ]] || find "$@"
}

# The program itself, not the Node script that starts it: its memory is measured.
codex_cli_in() { # CACHE
    find_in "$(codex_cli_directory "$1")" -path '*/bin/codex' -type f -print -quit
}

# One for each version, so that a cache does not offer an old one.
codex_cli_directory() { # CACHE
    local pins
    pins=$(sha256sum "$codex_cli_pins/package-lock.json")
    printf '%s/codex-%s\n' "$1" "${pins:0:12}"
}

install_codex_cli() { # CACHE
    local directory
    command -v npm >/dev/null || {
        printf '%s: no npm, which would install Codex CLI\n' "$script" >&2
        return 1
    }
    directory=$(codex_cli_directory "$1")
    mkdir -p "$directory"
    cp "$codex_cli_pins"/package{,-lock}.json "$directory"
    npm ci --prefix "$directory" --no-audit --no-fund --loglevel error --fetch-retries 1 >/dev/null || {
        printf '%s: npm cannot install Codex CLI\n' "$script" >&2
        return 1
    }
}
