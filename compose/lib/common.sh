# shellcheck shell=bash
# Messages, ports and processes for compose/local and integration-tests/run. Source it; it does nothing by itself.
# The caller sets ROOT (the repository) and STATE (where this set-up keeps its data, logs, ports and process notes):
#   $STATE/ports/NAME     the port that NAME was given
#   $STATE/run/NAME.pid   "pid start-time boot-id": which process NAME is, so that a recycled pid is never taken for it
#   $STATE/run/NAME.exit  the exit code of a job (a process meant to end) that has ended, or of a kept process that was given up
#   $STATE/run/NAME.keeper.pid, NAME.restarts   who starts NAME again when it dies; how often it did, and the last exit code
#   $STATE/log/NAME.log   what NAME printed; NAME.log.1 is the run before

# What ships is built in release; BUILD_PROFILE=dev builds faster and runs slower, for work on the code.
PROFILE=${BUILD_PROFILE:-release}
BIN=${CARGO_TARGET_DIR:-$ROOT/target}/$([[ $PROFILE == dev ]] && echo debug || echo "$PROFILE")

say()  { printf '%s\n' "$*" >&2; }
step() { printf '== %s\n' "$*" >&2; }
die()  { printf '%s: %s\n' "${0##*/}" "$*" >&2; exit 2; }

prepare_state() {
    mkdir -p "$STATE/ports" "$STATE/run" "$STATE/log" || die "cannot write to $STATE"
}

# One launcher at a time on a state directory; the lock ends with this script (spawn does not hand it on).
lock_state() {
    exec 9>"$STATE/lock"
    flock -n 9 || die "another run is at work on $STATE; wait until it has ended"
}

## Ports

port_listens() { # PORT: does anything on this machine listen on it?
    local hex
    printf -v hex '%04X' "$1"
    grep -qsE "^ *[0-9]+: [0-9A-F]+:$hex [0-9A-F]+:[0-9A-F]+ 0A " /proc/net/tcp /proc/net/tcp6
}

port_of() { # NAME: its port, or nothing
    [[ -s $STATE/ports/$1 ]] && cat "$STATE/ports/$1"
}

# keep_port NAME: notes a free port for NAME, the same as last time where that is still free.
# From below the range that the kernel hands to clients, so that none of those takes it meanwhile.
keep_port() {
    local port tries
    port=$(port_of "$1")
    [[ -n $port ]] && ! port_listens "$port" && return
    for tries in {1..200}; do
        port=$((20000 + RANDOM % 12000))
        port_listens "$port" || grep -qxs "$port" "$STATE"/ports/* || break
        ((tries < 200)) || die "found no free port between 20000 and 32000 for $1"
    done
    printf '%s\n' "$port" >"$STATE/ports/$1"
}

## Processes

boot_id() { cat /proc/sys/kernel/random/boot_id; }

start_time() { # PID: in clock ticks since boot; fails when there is no such process, or only its remains (a zombie)
    local stat fields
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 1
    read -ra fields <<<"${stat##*) }" # the name before ")" may hold anything; what follows starts at field 3
    [[ ${fields[0]} != Z ]] && printf '%s' "${fields[19]}"
}

pid_of() { # NAME: its process id if it is running; fails otherwise
    local pid start boot
    read -r pid start boot 2>/dev/null <"$STATE/run/$1.pid" || return 1
    [[ $boot == "$(boot_id)" && $start == "$(start_time "$pid")" ]] && printf '%s' "$pid"
}

running() { pid_of "$1" >/dev/null; }

note_pid() { # NAME PID: which process NAME is
    printf '%s %s %s\n' "$2" "$(start_time "$2")" "$(boot_id)" >"$STATE/run/$1.pid"
}

# How often in a row a kept process is started again, and after how many seconds of work an earlier death is forgotten.
RESTARTS=5
RESTARTS_FORGOTTEN=600

# kept NAME: is it running, or about to be started again?
kept() { running "$1" || running "$1.keeper"; }

# spawn_kept NAME COMMAND...: the same as spawn; where KEEP_RUNNING is set, NAME is started again when it dies (see keep).
spawn_kept() {
    local name=$1 log=$STATE/log/$1.log keeper tries
    [[ ${KEEP_RUNNING:-} ]] || { spawn "$@"; return; }
    shift
    [[ -s $log ]] && mv -f "$log" "$log.1"
    rm -f "$STATE/run/$name".{pid,exit,restarts}
    setsid -- "$ROOT/compose/lib/keep" "$STATE" "$name" "$@" >"$log" 2>&1 </dev/null 9>&- &
    keeper=$!
    note_pid "$name.keeper" "$keeper"
    disown "$keeper" # its end is nobody's news here
    # Until it has said which process that is.
    for ((tries = 100; tries > 0; tries--)); do
        [[ ! -s $STATE/run/$name.pid ]] || return 0
        sleep 0.05
    done
}

# spawn NAME COMMAND...: starts COMMAND detached, in a session and process group of its own.
spawn() {
    local name=$1 log=$STATE/log/$1.log
    shift
    [[ -s $log ]] && mv -f "$log" "$log.1"
    rm -f "$STATE/run/$name.exit"
    # In a script without job control the background child leads no group, so setsid becomes COMMAND under the same pid.
    setsid -- "$@" >"$log" 2>&1 </dev/null 9>&- &
    note_pid "$name" $!
}

# spawn_job NAME COMMAND...: the same for a command that ends by itself; its exit code is kept, unless it was stopped.
spawn_job() {
    local name=$1
    shift
    # shellcheck disable=SC2016 # expanded by the inner shell
    spawn "$name" bash -c 'trap "stopped=1" TERM # sent to the whole group: waits for the command, which gets it too
        exit_file=$1; shift; "$@"; code=$?
        [[ ${stopped:-} ]] || printf "%s\n" "$code" >"$exit_file"' job "$STATE/run/$name.exit" "$@"
}

exit_code_of() { # JOB: how it ended, or nothing
    [[ -s $STATE/run/$1.exit ]] && cat "$STATE/run/$1.exit"
}

# stop NAME SECONDS SIGNAL...: sends the signals in turn, each with SECONDS to take effect, until NAME is gone.
stop() {
    local name=$1 seconds=$2 pid signal tries
    shift 2
    # Who would start it again goes first.
    pid=$(pid_of "$name.keeper") && kill -s KILL "$pid" 2>/dev/null
    rm -f "$STATE/run/$name.keeper.pid" "$STATE/run/$name.restarts"
    pid=$(pid_of "$name") || { rm -f "$STATE/run/$name.pid"; return 0; }
    for signal in "$@"; do
        [[ $signal == "$1" ]] || say "$name (pid $pid) did not stop within $seconds s: sending SIG$signal"
        kill -s "$signal" -- "-$pid" 2>/dev/null
        for ((tries = seconds * 20; tries > 0; tries--)); do
            running "$name" || { rm -f "$STATE/run/$name.pid"; return 0; }
            sleep 0.05
        done
    done
    say "$name (pid $pid) could not be stopped"
    return 1
}

show_log() { # NAME: the end of its log, for an error message
    say "--- the end of $STATE/log/$1.log:"
    tail -n 25 "$STATE/log/$1.log" >&2 2>/dev/null
}

# wait_until NAME SECONDS COMMAND...: waits until COMMAND succeeds; fails when NAME ends before, or in time.
wait_until() {
    local name=$1 seconds=$2 end=$((SECONDS + $2)) say=$((SECONDS + 15))
    shift 2
    until "$@"; do
        kept "$name" || { show_log "$name"; die "$name ended while starting"; }
        ((SECONDS < end)) || { show_log "$name"; die "$name was not ready after $seconds s"; }
        ((SECONDS < say)) || { say "still waiting for $name (its log: $STATE/log/$name.log)"; say=$((SECONDS + 15)); }
        sleep 0.1
    done
}

http_status() { # PORT PATH: the status code that this machine's server answers, or nothing
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout 2 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" &&
        printf "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" "$2" >&3 &&
        read -r _ code _ <&3 && printf "%s" "$code"' probe "$1" "$2" 2>/dev/null
}

http_body() { # PORT PATH: what this machine's server answers, or nothing
    # shellcheck disable=SC2016 # expanded by the inner shell
    timeout 1.5 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" &&
        printf "GET %s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n" "$2" >&3 && cat <&3' probe "$1" "$2" 2>/dev/null |
        sed '1,/^\r*$/d'
}

readiness() { http_body "$1" /readyz; } # PORT: a line for each problem, or nothing when it does not answer

ready() { [[ $(http_status "$1" /readyz) == 200 ]]; } # PORT

# reachable HOST:PORT[,HOST:PORT...]: does one of them accept a connection?
reachable() {
    local server
    for server in ${1//,/ }; do
        # shellcheck disable=SC2016 # expanded by the inner shell
        timeout 3 bash -c 'exec 3<>"/dev/tcp/${1%:*}/${1##*:}"' probe "$server" 2>/dev/null && return
    done
    return 1
}
