# shellcheck shell=bash
# One city's agencies with databases of their own and real connectors: PostgreSQL for public security and human resources, MariaDB for
# civil affairs, and a worker of Kafka Connect with Debezium's connectors, from the pages under compose/connect/.
# Source after servers.sh. All of it has a state directory of its own, $STATE/debezium; the city is noted in its file "city".

CONNECT_LIB=$ROOT/.local/connect/lib
# Agencies and their databases in PostgreSQL.
POSTGRES_SOURCES=$'public-security ga\nhuman-resources hr'
# A connector takes its time on a busy machine: it looks at every table before it answers.
DEBEZIUM_PATIENCE=300

debezium_city() { cat "$STATE/debezium/city" 2>/dev/null; }

in_debezium() { # COMMAND...: with the state directory of the sources
    (STATE=$STATE/debezium; unset CANBAO_DATABASE_URL; "$@")
}

need_mariadb() {
    local program missing=()
    PATH=$PATH:/usr/sbin
    for program in mariadbd mariadb-install-db mariadb; do command -v "$program" >/dev/null || missing+=("$program"); done
    ((${#missing[@]} == 0)) || apt_install "MariaDB" mariadb-server-core mariadb-client-core
    command -v mariadbd >/dev/null || die "MariaDB was installed, but there is no mariadbd on the PATH"
}

mariadb_query() { # ARGUMENT...
    mariadb --no-defaults --batch --skip-column-names --socket="$STATE/mariadb/socket" --user="$(id -un)" "$@"
}

mariadb_accepts() { mariadb_query -e 'select 1' >/dev/null 2>&1; }

mariadb_start() { # returns once it takes connections; whoever is on this machine may connect
    local home=$STATE/mariadb user
    user=$(id -un)
    if kept mariadb; then
        wait_until mariadb "$DEBEZIUM_PATIENCE" mariadb_accepts
        return
    fi
    if [[ ! -d $home/data/mysql ]]; then
        step "creating a MariaDB data directory"
        rm -rf "$home/data.new" && mkdir -p "$home"
        mariadb-install-db --no-defaults --user="$user" --datadir="$home/data.new" --auth-root-authentication-method=socket \
            --auth-root-socket-user="$user" --skip-test-db >"$STATE/log/mariadb-install.log" 2>&1 ||
            { show_log mariadb-install; die "mariadb-install-db failed"; }
        mv "$home/data.new" "$home/data"
    fi
    step "starting MariaDB"
    keep_port mariadb
    spawn_kept mariadb mariadbd --no-defaults --user="$user" --datadir="$home/data" --socket="$home/socket" \
        --bind-address=127.0.0.1 --port="$(port_of mariadb)" --server-id=1 --log-bin="$home/data/log" --binlog-format=ROW \
        --binlog-row-image=FULL --sync-binlog=1 --character-set-server=utf8mb4
    wait_until mariadb "$DEBEZIUM_PATIENCE" mariadb_accepts
}

sources_start() { # the databases with their tables, as compose/connect/*.sql makes them
    local agency database
    POSTGRES_OPTIONS=(-c wal_level=logical -c shared_buffers=128MB)
    postgres_start
    while read -r agency database; do
        [[ -z $(postgres_psql -d postgres -c "select 1 from pg_database where datname = '$database'") ]] || continue
        step "making the database of $agency"
        postgres_psql -d postgres -c "create database $database" &&
            postgres_psql -d "$database" -1 -f "$ROOT/compose/connect/$agency.sql" || die "cannot make the database of $agency"
    done <<<"$POSTGRES_SOURCES"
    mariadb_start
    if [[ -z $(mariadb_query -e "show databases like 'mz'") ]]; then
        step "making the database of civil-affairs"
        mariadb_query -e 'create database mz; create user simulator@localhost; grant all on mz.* to simulator@localhost' &&
            mariadb_query mz <"$ROOT/compose/connect/civil-affairs.sql" || die "cannot make the database of civil-affairs"
    fi
}

# Whether the agencies' tables hold their first load: each agency's table of completeness is written last.
sources_loaded() {
    local database
    while read -r _ database; do
        [[ $(postgres_psql -d "$database" -c 'select exists (select from heartbeat)' 2>/dev/null </dev/null) == t ]] || return 1
    done <<<"$POSTGRES_SOURCES"
    [[ $(mariadb_query mz -e 'select count(*) > 0 from batch_control' 2>/dev/null) == 1 ]]
}

source_databases() { # CITY: the simulator's options, by which it writes into the databases
    local agency database
    while read -r agency database; do
        printf '%s\n' "--database=$agency.$1=postgres://canbao@127.0.0.1:$(port_of postgres)/$database"
    done <<<"$POSTGRES_SOURCES"
    printf '%s\n' "--database=civil-affairs.$1=mysql://simulator@localhost/mz?socket=$STATE/mariadb/socket"
}

connect_resolve() { # fetches the jars when the pom changed since they were fetched, or when there are none
    maven_jars "$ROOT/compose/connect/pom.xml" "$CONNECT_LIB" "Kafka Connect and Debezium"
}

# The worker's and the connectors' files, of the pages under compose/connect/, as CONNECT_FILES; lines of CONNECT_FURTHER
# (AGENCY:NAME=VALUE) are added to an agency's.
connect_configure() { # CITY KAFKA
    local home=$STATE/connect page file line
    mkdir -p "$home/plugins"
    CONNECT_FILES=()
    for page in worker public-security human-resources civil-affairs; do
        file=$home/$page.properties
        sed -e "s|@CITY@|$1|g" -e "s|@KAFKA@|$2|g" -e "s|@STATE@|$home|g" -e "s|@REPLICAS@|1|g" \
            -e "s|@POSTGRES_PORT@|$(port_of postgres)|g" -e "s|@MARIADB_PORT@|$(port_of mariadb)|g" \
            -e "s|@CONNECT_PORT@|$(port_of connect)|g" "$ROOT/compose/connect/$page.properties.in" >"$file"
        for line in ${CONNECT_FURTHER[@]+"${CONNECT_FURTHER[@]}"}; do
            [[ $line != "$page":* ]] || printf '%s\n' "${line#*:}" >>"$file"
        done
        CONNECT_FILES+=("$file")
    done
}

connect_start() { # CITY KAFKA: does not wait for it; sources_loaded is what its connectors should find
    local command
    kept connect && return
    need_java
    connect_resolve
    keep_port connect
    connect_configure "$1" "$2"
    step "starting Kafka Connect for city $1"
    mapfile -d '' -t command < <(printf '%s\0' "$JAVA" -Xms128m -Xmx512m -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
        "-Dlog4j2.configurationFile=$ROOT/compose/connect/log4j2.properties" -cp "$CONNECT_LIB/*" \
        org.apache.kafka.connect.cli.ConnectStandalone "${CONNECT_FILES[@]}")
    spawn_kept connect "${command[@]}"
}

connect_problems() { # a line for everything that is wrong with the worker and its connectors
    local answer cause
    answer=$(http_body "$(port_of connect)" '/connectors?expand=status')
    [[ $answer == *'"RUNNING"'* || $answer == *'"FAILED"'* ]] || { echo "its connectors do not run yet"; return; }
    [[ $answer == *'"FAILED"'* ]] || return
    grep -oE '"trace":"[^"\\]{1,200}' <<<"$answer" | sort -u | while IFS= read -r cause; do echo "${cause#'"trace":"'}"; done
    echo "a connector has failed; mend the cause, then start it anew: curl -X POST" \
        "'http://127.0.0.1:$(port_of connect)/connectors/NAME/restart?includeTasks=true&onlyFailed=true'"
}

connect_stop() { stop connect 30 TERM KILL; }

mariadb_stop() { stop mariadb 60 TERM KILL; }

debezium_status() { # lines of `status`
    [[ $(debezium_city) ]] || return 0
    printf '%s\n' "sources of city $(debezium_city):"
    in_debezium print_status postgres mariadb connect
}

debezium_stop() { # whatever of it runs
    local failed=0
    [[ -d $STATE/debezium ]] || return 0
    in_debezium connect_stop || failed=1
    in_debezium mariadb_stop || failed=1
    in_debezium postgres_stop || failed=1
    return "$failed"
}

debezium_remove() { # all its data; only for state directories that live no longer than a run
    [[ -d $STATE/debezium ]] || return 0
    in_debezium postgres_remove
    rm -rf "$STATE/debezium"
}
