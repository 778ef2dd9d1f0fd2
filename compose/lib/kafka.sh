# shellcheck shell=bash
# One private Apache Kafka node under $STATE/kafka, from the jars that compose/kafka/pom.xml names.
# Source after common.sh and install.sh. The jars are shared by all state directories: $ROOT/.local/kafka/lib.

KAFKA_LIB=$ROOT/.local/kafka/lib

kafka_resolve() { # fetches the jars when the pom changed since they were fetched, or when there are none
    local sum new=$KAFKA_LIB.new log=$STATE/log/maven.log
    sum=$(sha256sum <"$ROOT/compose/kafka/pom.xml")
    [[ -f $KAFKA_LIB/pom.sha256 && $(<"$KAFKA_LIB/pom.sha256") == "$sum" ]] && return
    need_maven
    step "fetching Apache Kafka ($(sed -n 's/.*<kafka.version>\(.*\)<.*/\1/p' "$ROOT/compose/kafka/pom.xml")) with Maven"
    rm -rf "$new" && mkdir -p "$new"
    if ! mvn -B -ntp -f "$ROOT/compose/kafka/pom.xml" dependency:copy-dependencies -DoutputDirectory="$new" >"$log" 2>&1; then
        grep -E '^\[?.*ERROR' "$log" | head -n 8 >&2
        die "Maven could not fetch Apache Kafka (the whole output: $log)"
    fi
    printf '%s\n' "$sum" >"$new/pom.sha256"
    rm -rf "$KAFKA_LIB" && mv "$new" "$KAFKA_LIB"
}

kafka_java() { # CLASS ARGUMENT...: what Kafka is started with
    printf '%s\0' "$JAVA" -Xms256m -Xmx512m -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
        "-Dlog4j2.configurationFile=$ROOT/compose/kafka/log4j2.properties" -cp "$KAFKA_LIB/*" "$@"
}

kafka_address() { printf '127.0.0.1:%s' "$(port_of kafka)"; }

kafka_start() { # returns once it takes connections; the address is kafka_address
    local home=$STATE/kafka properties=$STATE/kafka/server.properties id command
    running kafka && return
    need_java
    kafka_resolve
    step "starting Kafka"
    mkdir -p "$home"
    keep_port kafka
    keep_port kafka-controller
    sed -e "s|@DATA@|$home/data|" -e "s|@PORT@|$(port_of kafka)|" \
        -e "s|@CONTROLLER_PORT@|$(port_of kafka-controller)|" "$ROOT/compose/kafka/server.properties.in" >"$properties"
    if [[ ! -f $home/data/meta.properties ]]; then
        # A cluster id is 16 random bytes in URL-safe base 64; a leading "-" would be taken for an option.
        id=c$(head -c 16 /dev/urandom | base64 | tr '+/' '-_' | cut -c 2-22)
        mapfile -d '' -t command < <(kafka_java kafka.tools.StorageTool format --cluster-id "$id" --config "$properties")
        "${command[@]}" >"$STATE/log/kafka.log" 2>&1 || { show_log kafka; die "Kafka could not format its storage"; }
    fi
    mapfile -d '' -t command < <(kafka_java kafka.Kafka "$properties")
    spawn kafka "${command[@]}"
    wait_until kafka 60 port_listens "$(port_of kafka)"
}

kafka_stop() { stop kafka 30 TERM KILL; }
