# shellcheck shell=bash
# One private PostgreSQL server under $STATE/postgres. Source after common.sh and install.sh.
# It listens on a port of 127.0.0.1 and on a socket in its own folder; whoever is on this machine may connect.

# PostgreSQL refuses to run as root: then it runs as the user that its package made. setpriv, unlike runuser, becomes
# the command instead of waiting for it, so that the noted process is the server itself.
as_postgres() {
    if [[ $EUID == 0 ]]; then
        (cd / && exec setpriv --reuid postgres --regid postgres --init-groups -- "$@")
    else
        "$@"
    fi
}

# Sets PG_HOME, the server's folder: $STATE/postgres, or one under /var/tmp when its user cannot reach $STATE
# (a clone in root's home, say).
postgres_home() {
    PG_HOME=$STATE/postgres
    [[ $EUID == 0 ]] || { mkdir -p "$PG_HOME"; return; }
    getent passwd postgres >/dev/null || die "PostgreSQL must not run as root, and there is no user postgres to run it as"
    mkdir -p "$PG_HOME" && chown postgres: "$PG_HOME"
    as_postgres test -w "$PG_HOME" 2>/dev/null && return
    PG_HOME=$(postgres_far_home)
    # When $STATE was removed, what lies there belongs to a set-up that is gone.
    [[ -e $STATE/postgres/elsewhere ]] || rm -rf "$PG_HOME"
    printf '%s\n' "$PG_HOME" >"$STATE/postgres/elsewhere"
    mkdir -p "$PG_HOME" && chown postgres: "$PG_HOME"
}

postgres_far_home() { printf '/var/tmp/canbao-postgres-%s' "$(printf '%s' "$STATE" | sha256sum | cut -c 1-12)"; }

# By its socket where there is one: over TCP each small COPY waits 40 ms, because the services' driver leaves Nagle's algorithm on.
postgres_url() {
    local host
    host=$(cat "$STATE/run/postgres.sockets" 2>/dev/null || echo 127.0.0.1)
    printf 'postgres://canbao@%s:%s/canbao' "${host//\//%2F}" "$(port_of postgres)"
}

postgres_psql() { # ARGUMENT...
    "$PG_BIN/psql" -XqAt -v ON_ERROR_STOP=1 -h 127.0.0.1 -p "$(port_of postgres)" -U canbao "$@"
}

# Seconds until it lets somebody in; after a crash it replays its log first.
POSTGRES_PATIENCE=300

postgres_answers() { find_postgres && "$PG_BIN/pg_isready" -q -t 1 -h 127.0.0.1 -p "$(port_of postgres)"; }

postgres_accepts() { postgres_psql -d postgres -c 'select 1' >/dev/null 2>&1; }

postgres_start() { # returns once it takes connections and has the database; the address is postgres_url
    local data sockets log=$STATE/log/initdb.log
    if kept postgres; then
        find_postgres
        wait_until postgres "$POSTGRES_PATIENCE" postgres_accepts
        return
    fi
    need_postgres
    postgres_home
    data=$PG_HOME/data
    [[ ! -f $data/PG_VERSION ]] || need_postgres "$(as_postgres cat "$data/PG_VERSION")"
    if [[ ! -f $data/PG_VERSION ]]; then
        step "creating a PostgreSQL cluster"
        # Into another folder first: an interrupted initdb must not look like a cluster.
        rm -rf "$data.new"
        as_postgres "$PG_BIN/initdb" -D "$data.new" --username=canbao --auth=trust --encoding=UTF8 --locale=C.UTF-8 \
            --data-checksums >"$log" 2>&1 || { show_log initdb; die "initdb failed"; }
        printf '%s\n' 'local all all trust' 'host all all 127.0.0.1/32 trust' >"$data.new/pg_hba.conf"
        mv "$data.new" "$data"
    fi
    install -m 644 "$ROOT/compose/postgres/postgresql.conf" "$data/canbao.conf"
    # A socket's path has room for some 107 characters.
    sockets=$PG_HOME
    ((${#sockets} < 85)) || sockets=
    printf '%s\n' "${sockets:-127.0.0.1}" >"$STATE/run/postgres.sockets"
    step "starting PostgreSQL"
    keep_port postgres
    postgres_spawn "$PG_BIN/postgres" -D "$data" -c "config_file=$data/canbao.conf" -c listen_addresses=127.0.0.1 \
        -c "port=$(port_of postgres)" -c "shared_buffers=$(quarter_of_memory)MB" -c "unix_socket_directories=$sockets" \
        ${POSTGRES_OPTIONS[@]+"${POSTGRES_OPTIONS[@]}"}
    wait_until postgres "$POSTGRES_PATIENCE" postgres_accepts
    [[ $(postgres_psql -d postgres -c "select 1 from pg_database where datname = 'canbao'") == 1 ]] ||
        postgres_psql -d postgres -c 'create database canbao' || die "cannot create the database canbao"
}

# A million residents' indexes do not fit in a fixed gigabyte; a quarter is the manual's advice.
quarter_of_memory() { awk '/^MemTotal:/ { print int($2 / 4096) }' /proc/meminfo; }

postgres_spawn() { # COMMAND...
    if [[ $EUID == 0 ]]; then
        spawn_kept postgres setpriv --reuid postgres --regid postgres --init-groups -- "$@"
    else
        spawn_kept postgres "$@"
    fi
}

# SIGINT is PostgreSQL's "fast" stop: it ends the connections and writes a checkpoint; SIGQUIT leaves a recovery to do.
postgres_stop() { stop postgres 60 INT QUIT; }

postgres_remove() { # all its data; only for state directories that live no longer than a run
    rm -rf "$STATE/postgres" "$(postgres_far_home)"
}
