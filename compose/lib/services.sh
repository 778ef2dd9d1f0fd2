# shellcheck shell=bash
# The services of Canbao and the simulated agencies, one process each. Source after servers.sh; BIN comes from common.sh.

# In the order they start; they stop the other way round.
SERVICES=(public-security civil-affairs human-resources registry clock publisher)
# Jobs that run beside them: the simulated agencies, and the command that goes live once the first load is complete.
JOBS=(simulator go-live)

# Exports CANBAO_SCHEMA_REGISTRY_URL: where subscribers find the schemas, the configured registry or the publisher's own.
set_schema_url() {
    # A running publisher's port is taken by itself.
    running publisher || keep_port publisher
    export CANBAO_SCHEMA_REGISTRY_URL=${CANBAO_SCHEMA_REGISTRY:-http://127.0.0.1:$(port_of publisher)}
}

service_start() { # NAME
    running "$1" && return
    keep_port "$1"
    spawn "$1" env "CANBAO_HTTP=127.0.0.1:$(port_of "$1")" "$BIN/canbao" run "$1"
}

services_start() { # all of them, then waits until each is ready
    local name
    step "starting the services"
    for name in "${SERVICES[@]}"; do service_start "$name"; done
    for name in "${SERVICES[@]}"; do wait_until "$name" 90 ready "$(port_of "$name")"; done
}

# job_start NAME COMMAND...: unless it runs, or has ended well before.
job_start() {
    running "$1" || [[ $(exit_code_of "$1") == 0 ]] || spawn_job "$@"
}

services_stop() {
    local i name failed=0
    for name in go-live simulator; do stop "$name" 20 TERM KILL || failed=1; done
    for ((i = ${#SERVICES[@]} - 1; i >= 0; i--)); do
        # A service drains what it has taken before it ends.
        stop "${SERVICES[i]}" 30 TERM KILL || failed=1
    done
    return "$failed"
}

# Writes what the services are given, for a shell that wants to use canbao by hand: `. .local/env`. When it is not
# what running services were given (Kafka came back on another port, say), those are stopped, to be started anew.
write_env() {
    local new=$STATE/env.new
    (
        umask 077
        {
            echo "# Written by compose/local; source it to use canbao by hand. Holds secrets of this set-up."
            for name in CANBAO_KAFKA CANBAO_DATABASE_URL CANBAO_ID_KEY CANBAO_DIALECTS CANBAO_SCHEMA_REGISTRY CANBAO_SCHEMA_REGISTRY_URL; do
                [[ -z ${!name:-} ]] || printf 'export %s=%q\n' "$name" "${!name}"
            done
            # shellcheck disable=SC2016 # expanded by the shell that sources it
            printf 'export PATH=%q:"$PATH"\n' "$BIN"
        } >"$new"
    )
    if [[ -e $STATE/env ]] && ! cmp -s "$new" "$STATE/env"; then
        step "the addresses or settings changed: services that run are started anew"
        services_stop || exit 2
    fi
    mv "$new" "$STATE/env"
}

health_of() { # NAME: a word or two for the table
    local name=$1 code
    if ! running "$name"; then
        code=$(exit_code_of "$name")
        case $code in
            '') if [[ -e $STATE/run/$name.pid ]]; then echo "died, see its log"; else echo "not running"; fi ;;
            0) echo "finished" ;;
            *) echo "failed (exit code $code), see its log" ;;
        esac
        return 1
    fi
    case $name in
        kafka | postgres)
            if port_listens "$(port_of "$name")"; then echo "listening"; else echo "not listening"; return 1; fi
            ;;
        simulator) echo "running" ;;
        go-live) echo "waiting for the first load" ;;
        *)
            code=$(http_status "$(port_of "$name")" /readyz)
            if [[ $code != 200 ]]; then echo "not ready (${code:-no answer})"; return 1; fi
            # A binary that was built anew since has replaced the file that this one runs from.
            if [[ $(readlink "/proc/$(pid_of "$name")/exe") == *" (deleted)" ]]; then echo "ready, an older build"; else echo "ready"; fi
            ;;
    esac
}

# One line each; fails when one of the servers or services is not well.
print_status() {
    local name pid health failed=0 port
    printf '%-16s %-8s %-6s %-30s %s\n' NAME PID PORT HEALTH LOG
    for name in kafka postgres "${SERVICES[@]}" "${JOBS[@]}"; do
        if [[ $name == kafka ]] && ! own_kafka || [[ $name == postgres ]] && ! own_postgres; then
            printf '%-16s %-8s %-6s %s\n' "$name" - - "not ours: from the environment"
            continue
        fi
        health=$(health_of "$name") || [[ " ${JOBS[*]} " == *" $name "* ]] || failed=1
        pid=$(pid_of "$name") || pid=-
        port=$(port_of "$name") || port=-
        printf '%-16s %-8s %-6s %-30s %s\n' "$name" "$pid" "$port" "$health" "${STATE#"$ROOT/"}/log/$name.log"
    done
    return "$failed"
}
