# shellcheck shell=bash
# One private Apache Kafka node under $STATE/kafka, from the jars that compose/kafka/pom.xml names.
# Source after common.sh and install.sh. The jars are shared by all state directories: $ROOT/.local/kafka/lib.

KAFKA_LIB=$ROOT/.local/kafka/lib
# Seconds until it answers; after a crash it checks its logs first, which takes a while on a busy machine.
KAFKA_PATIENCE=300

kafka_resolve() {
    maven_jars "$ROOT/compose/kafka/pom.xml" "$KAFKA_LIB" "Apache Kafka"
}

kafka_java() { # CLASS ARGUMENT...: what Kafka is started with
    printf '%s\0' "$JAVA" -Xms256m -Xmx512m -XX:+UseG1GC -XX:+ExitOnOutOfMemoryError -Djava.awt.headless=true \
        "-Dlog4j2.configurationFile=$ROOT/compose/kafka/log4j2.properties" -cp "$KAFKA_LIB/*" "$@"
}

kafka_address() { printf '127.0.0.1:%s' "$(port_of kafka)"; }

# Does it answer, not only listen? The smallest request there is: ApiVersions (key 18), version 0, correlation id 1, no client id; the
# answer is a length and that id.
kafka_answers() {
    local answer
    # shellcheck disable=SC2016 # expanded by the inner shell
    answer=$(timeout 1.5 bash -c 'exec 3<>"/dev/tcp/127.0.0.1/$1" && printf "\0\0\0\12\0\22\0\0\0\0\0\1\377\377" >&3 &&
        head -c 8 <&3 | od -An -v -tx1' probe "$(port_of kafka)" 2>/dev/null | tr -d ' \n')
    [[ $answer == ????????00000001 ]]
}

kafka_start() { # returns once it answers; the address is kafka_address
    local home=$STATE/kafka properties=$STATE/kafka/server.properties id command
    if kept kafka; then
        # It may have been started a moment ago, or be down for a moment.
        wait_until kafka "$KAFKA_PATIENCE" kafka_answers
        return
    fi
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
    spawn_kept kafka "${command[@]}"
    wait_until kafka "$KAFKA_PATIENCE" kafka_answers
}

kafka_stop() { stop kafka 30 TERM KILL; }
