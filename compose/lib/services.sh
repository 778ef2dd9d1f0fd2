# shellcheck shell=bash
# The services of Canbao and the simulated agencies, one process each. Source after servers.sh; BIN comes from common.sh.

# In the order they start; they stop the other way round.
SERVICES=(public-security civil-affairs human-resources registry clock publisher)
# Where further agencies are served, their normaliser stands with the others.
[[ -z ${CANBAO_NORMALISER__AGENCIES:-} ]] || SERVICES=(agencies "${SERVICES[@]}")
# Jobs that run beside them: the simulated agencies, and the command that goes live once the first load is complete.
JOBS=(simulator go-live)

# Exports CANBAO_SCHEMA_REGISTRY_URL: where subscribers find the schemas, the configured registry or the publisher's own.
set_schema_url() {
    # A running publisher's port is taken by itself.
    running publisher || keep_port publisher
    export CANBAO_SCHEMA_REGISTRY_URL=${CANBAO_SCHEMA_REGISTRY:-http://127.0.0.1:$(port_of publisher)}
}

service_start() { # NAME
    kept "$1" && return
    keep_port "$1"
    spawn_kept "$1" env "CANBAO_HTTP=127.0.0.1:$(port_of "$1")" "$BIN/canbao" run "$1"
}

services_start() { # all of them, then waits until each is ready
    local name
    step "starting the services"
    for name in "${SERVICES[@]}"; do service_start "$name"; done
    for name in "${SERVICES[@]}"; do wait_until "$name" 300 ready "$(port_of "$name")"; done
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
            for name in CANBAO_KAFKA CANBAO_DATABASE_URL CANBAO_ID_KEY CANBAO_DIALECTS CANBAO_SCHEMA_REGISTRY CANBAO_SOURCE_SCHEMA_REGISTRY CANBAO_SCHEMA_REGISTRY_URL; do
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

# health_of NAME: a word or two for the table, then a line for everything that is wrong; fails when NAME is not well.
health_of() {
    local name=$1 code restarts last problems again=
    read -r restarts last 2>/dev/null <"$STATE/run/$name.restarts" && again=", restarted ${restarts}x (exit code $last)"
    if ! running "$name"; then
        code=$(exit_code_of "$name")
        if running "$name.keeper"; then
            echo "died, starting again (${restarts:-1} of $RESTARTS)"
        elif [[ -z $code && -e $STATE/run/$name.pid ]]; then
            echo "died, see its log"
        elif [[ -z $code ]]; then
            echo "not running"
            [[ " ${JOBS[*]} " == *" $name "* ]] && return
        elif [[ $code == 0 ]]; then
            # A job has done its work; a service was asked to end by somebody else.
            [[ " ${JOBS[*]} " == *" $name "* ]] && { echo "finished"; return; }
            echo "ended in order"
        else
            echo "failed (exit code $code)"
            [[ $again ]] && echo "it was started again $restarts times and died each time"
            echo "see its log; when it is mended: compose/local up"
        fi
        return 1
    fi
    case $name in
        kafka) if kafka_answers; then echo "answers$again"; else echo "does not answer$again"; return 1; fi ;;
        postgres) if postgres_answers; then echo "answers$again"; else echo "does not answer$again"; return 1; fi ;;
        simulator) echo "running" ;;
        mariadb) if mariadb_accepts; then echo "answers$again"; else echo "does not answer$again"; return 1; fi ;;
        connect)
            # A connector whose task has failed stands still until somebody mends the cause.
            problems=$(connect_problems)
            if [[ $problems ]]; then
                echo "not well$again"
                echo "$problems"
                return 1
            fi
            echo "running$again"
            ;;
        go-live) cat "$STATE/run/go-live.waits" 2>/dev/null || echo "asks whether it can" ;;
        *)
            problems=$(readiness "$(port_of "$name")")
            if [[ $problems != ready ]]; then
                echo "not ready$again"
                echo "${problems:-it does not answer}"
                return 1
            fi
            # A binary that was built anew since has replaced the file that this one runs from.
            if [[ $(readlink "/proc/$(pid_of "$name")/exe") == *" (deleted)" ]]; then echo "ready, an older build$again"; else echo "ready$again"; fi
            ;;
    esac
}

# print_status [NAME...]: one line each, and what is wrong below it; fails when one of the servers or services is not well. All are asked
# at once: one that does not answer costs two seconds, not each of them.
print_status() {
    local name pid health failed=0 port asked asking=() names=("$@")
    ((${#names[@]})) || names=(kafka postgres "${SERVICES[@]}" "${JOBS[@]}")
    asked=$(mktemp -d) || return 1
    for name in "${names[@]}"; do
        (health_of "$name" >"$asked/$name" || touch "$asked/$name.ill") 9>&- &
        asking+=($!)
    done
    wait "${asking[@]}" # not for everything: what `up` has started goes on
    (($#)) || printf '%-16s %-8s %-6s %-38s %s\n' NAME PID PORT HEALTH LOG
    for name in "${names[@]}"; do
        if [[ $name == kafka ]] && ! own_kafka || [[ $name == postgres ]] && ! own_postgres; then
            printf '%-16s %-8s %-6s %s\n' "$name" - - "not ours: from the environment"
            continue
        fi
        [[ ! -e $asked/$name.ill ]] || failed=1
        read -r health <"$asked/$name"
        pid=$(pid_of "$name") || pid=-
        port=$(port_of "$name") || port=-
        printf '%-16s %-8s %-6s %-38s %s\n' "$name" "$pid" "$port" "$health" "${STATE#"$ROOT/"}/log/$name.log"
        tail -n +2 "$asked/$name" | sed 's/^/    /'
    done
    rm -rf "$asked"
    return "$failed"
}
