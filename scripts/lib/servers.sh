# shellcheck shell=bash
# The mock upstream and the proxy in front of it: started in the background, and ended with the script.
# shellcheck disable=SC2034,SC2154  # The scripts use what is set here; scripts/lib/start.sh sets `bin`.

# Makes the directory $tmp, which the end of the script removes, after the processes in `pids`.
make_tmp() {
    tmp=$(mktemp -d)
    readonly tmp
    pids=()
    trap clean_up EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
}

# shellcheck disable=SC2329  # The trap calls it.
clean_up() {
    trap - EXIT
    ((${#pids[@]} == 0)) || kill "${pids[@]}" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -rf "$tmp"
}

# Until there is something in the file; fails if the process ends first.
await() { # FILE PID [SECONDS]
    local n
    for ((n = 0; n < ${3:-10} * 20; n++)); do
        [[ ! -s $1 ]] || return 0
        kill -0 "$2" 2>/dev/null || return 1
        sleep 0.05
    done
    return 1
}

port_in() { # FILE [NAME]
    [[ $(<"$1") =~ \"${2:-port}\":\ ?([0-9]+) ]] && printf '%s' "${BASH_REMATCH[1]}"
}

# Both fail if the program does not start. What it writes goes wherever the caller redirects it.

# shellcheck disable=SC2119,SC2120
# Sets mock_port; $tmp/record is what the mock upstream gets, a line for each request.
start_mock() { # ARGUMENT...
    local info=$tmp/mock-upstream.json
    "$bin/mock-upstream" --info "$info" --record "$tmp/record" "$@" &
    pids+=("$!")
    await "$info" "$!" && mock_port=$(port_in "$info")
}

# Sets proxy_pid and proxy_port; its server info is $tmp/server-info.json.
start_proxy() { # KEY ARGUMENT...
    local info=$tmp/server-info.json
    # printf is a builtin: the key is never an argument of a process.
    printf '%s\n' "$1" | "$bin/codex" responses-api-proxy --server-info "$info" \
        --upstream-url "http://127.0.0.1:$mock_port/v1/responses" "${@:2}" &
    proxy_pid=$!
    pids+=("$proxy_pid")
    await "$info" "$proxy_pid" && proxy_port=$(port_in "$info")
}
