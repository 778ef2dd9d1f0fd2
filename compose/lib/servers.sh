# shellcheck shell=bash
# Kafka and PostgreSQL for one state directory: private ones, or those that CANBAO_KAFKA and CANBAO_DATABASE_URL name.
# Source it after setting ROOT and STATE; it brings common.sh, install.sh, kafka.sh and postgres.sh.

. "$ROOT/compose/lib/common.sh"
. "$ROOT/compose/lib/install.sh"
. "$ROOT/compose/lib/kafka.sh"
. "$ROOT/compose/lib/postgres.sh"

# A shell that sourced .local/env has the addresses of our own servers set: those are not somebody else's.
own_kafka() { [[ -z ${CANBAO_KAFKA:-} || $CANBAO_KAFKA == "$(kafka_address)" ]]; }
own_postgres() { [[ -z ${CANBAO_DATABASE_URL:-} || $CANBAO_DATABASE_URL == "$(postgres_url)" ]]; }

start_servers() { # starts what is not there, and exports CANBAO_KAFKA and CANBAO_DATABASE_URL
    if own_kafka; then
        kafka_start
        CANBAO_KAFKA=$(kafka_address)
    else
        step "using the Kafka at $CANBAO_KAFKA (from CANBAO_KAFKA)"
        reachable "$CANBAO_KAFKA" || die "nothing answers at CANBAO_KAFKA=$CANBAO_KAFKA; unset it to have a private Kafka started"
    fi
    if own_postgres; then
        postgres_start
        CANBAO_DATABASE_URL=$(postgres_url)
    else
        # The address may hold a password: it is not repeated.
        step "using the PostgreSQL of CANBAO_DATABASE_URL"
    fi
    export CANBAO_KAFKA CANBAO_DATABASE_URL
}

stop_servers() { # only those that this state directory started
    local failed=0
    kafka_stop || failed=1
    postgres_stop || failed=1
    return "$failed"
}

# The secret of the keyed hashes that stand for id numbers outside the base: made once, then kept, because with
# another one every key would change. Exports CANBAO_ID_KEY unless it is set already.
keep_id_key() {
    local file=$STATE/id-key
    if [[ -z ${CANBAO_ID_KEY:-} ]]; then
        [[ -s $file ]] || (umask 077 && od -An -v -N32 -tx1 /dev/urandom | tr -d ' \n' >"$file")
        CANBAO_ID_KEY=$(<"$file")
    fi
    [[ $CANBAO_ID_KEY =~ ^[0-9a-fA-F]{64}$ ]] || die "CANBAO_ID_KEY must be 64 hexadecimal characters"
    export CANBAO_ID_KEY
}

set_dialects() { # exports CANBAO_DIALECTS: the mappings of the three agencies, unless others are set
    local services=$ROOT/services
    : "${CANBAO_DIALECTS:=$services/public-security/dialects:$services/civil-affairs/dialects:$services/human-resources/dialects}"
    export CANBAO_DIALECTS
}

build() { # the binaries of the whole workspace, in BIN; of more where BUILD_TARGETS names it
    need_c_toolchain
    need_cargo
    step "building (the first time takes some minutes)"
    (cd "$ROOT" && cargo build --workspace --profile "$PROFILE" ${BUILD_TARGETS[@]+"${BUILD_TARGETS[@]}"}) || die "the build failed"
}
