# shellcheck shell=bash disable=SC2034
# What the machine must have. Each need_* looks first and installs by apt only what is missing. Source after common.sh.

# apt_install PURPOSE PACKAGE...
apt_install() {
    local purpose=$1 log=$STATE/log/apt.log
    shift
    command -v apt-get >/dev/null || die "$purpose is missing, and there is no apt-get here: install it by hand (Debian calls it: $*)"
    [[ $EUID == 0 ]] || die "$purpose is missing: run this as root, or first: sudo apt-get install $*"
    step "installing $purpose: $*"
    apt_get install "$@" >"$log" 2>&1 && return
    # A fresh machine has no package lists, or old ones.
    { apt_get update && apt_get install "$@"; } >>"$log" 2>&1 && return
    tail -n 15 "$log" >&2
    die "apt could not install $* (the whole output: $log)"
}

apt_get() {
    local action=$1
    shift
    DEBIAN_FRONTEND=noninteractive apt-get "$action" -y -o Dpkg::Options::=--force-confold ${1:+--no-install-recommends} "$@"
}

java_is_new_enough() { # JAVA: Kafka 4 wants 17 or newer
    local version
    version=$("$1" -version 2>&1) || return 1
    [[ $version =~ \"([0-9]+) ]] && ((BASH_REMATCH[1] >= 17))
}

find_java() { # sets JAVA
    local candidate
    for candidate in "${JAVA_HOME:+$JAVA_HOME/bin/java}" "$(command -v java)" /usr/lib/jvm/*/bin/java; do
        [[ -x $candidate ]] && java_is_new_enough "$candidate" && { JAVA=$candidate; return; }
    done
    return 1
}

need_java() {
    local package
    find_java && return
    # Which of them a Debian release carries differs; before the first update none may be known.
    for package in openjdk-21-jre-headless openjdk-17-jre-headless; do
        [[ -n $(apt-cache madison "$package" 2>/dev/null) ]] && break
    done
    apt_install "a Java runtime (17 or newer)" "$package"
    find_java || die "the installed Java is older than 17, which Kafka needs"
}

need_maven() {
    command -v mvn >/dev/null || apt_install "Maven (fetches Apache Kafka)" maven
    command -v mvn >/dev/null || die "Maven was installed, but there is no mvn on the PATH"
}

# maven_jars POM FOLDER WHAT: fetches the jars that a pom names when it changed since they were fetched, or when there are none
maven_jars() {
    local pom=$1 folder=$2 what=$3 sum log=$STATE/log/maven.log
    sum=$(sha256sum <"$pom")
    [[ -f $folder/pom.sha256 && $(<"$folder/pom.sha256") == "$sum" ]] && return
    need_maven
    step "fetching $what ($(sed -nE 's/.*<([a-z]+)\.version>(.*)<.*/\1 \2/p' "$pom" | paste -sd ,)) with Maven"
    rm -rf "$folder.new" && mkdir -p "$folder.new"
    if ! mvn -B -ntp -f "$pom" dependency:copy-dependencies -DoutputDirectory="$folder.new" >"$log" 2>&1; then
        grep -E '^\[?.*ERROR' "$log" | head -n 8 >&2
        die "Maven could not fetch $what (the whole output: $log)"
    fi
    printf '%s\n' "$sum" >"$folder.new/pom.sha256"
    rm -rf "$folder" && mv "$folder.new" "$folder"
}

# find_postgres [MAJOR]: sets PG_BIN to the newest server's programs, or to those of MAJOR.
find_postgres() {
    local bin
    for bin in $(printf '%s\n' /usr/lib/postgresql/*/bin "$(dirname "$(command -v postgres || echo /none/postgres)")" | sort -Vr); do
        [[ -x $bin/postgres && -x $bin/initdb && -x $bin/psql ]] || continue
        [[ $("$bin/postgres" --version) =~ \)\ ([0-9]+) ]] || continue
        ((BASH_REMATCH[1] >= 15 && BASH_REMATCH[1] == ${1:-BASH_REMATCH[1]})) && { PG_BIN=$bin; return; }
    done
    return 1
}

need_postgres() { # [MAJOR]
    local conf=/etc/postgresql-common/createcluster.conf
    find_postgres "$@" && return
    [[ -z ${1:-} ]] || die "the data under $STATE was written by PostgreSQL $1, which is not installed: install postgresql-$1, or remove $STATE and start anew"
    apt_install "PostgreSQL" postgresql-common
    # The package would set up and start a server of its own on the usual port; ours is private.
    [[ -f $conf ]] && cp "$conf" "$STATE/createcluster.conf" && echo 'create_main_cluster = false' >>"$conf"
    (apt_install "PostgreSQL" postgresql)
    local failed=$?
    [[ -f $STATE/createcluster.conf ]] && cp "$STATE/createcluster.conf" "$conf" && rm "$STATE/createcluster.conf"
    ((failed == 0)) || exit "$failed"
    find_postgres || die "this release's PostgreSQL is older than 15, which Canbao needs"
}

need_c_toolchain() {
    local missing=()
    command -v gcc >/dev/null && command -v g++ >/dev/null && command -v make >/dev/null || missing+=(build-essential)
    # The Kafka client library links with the system's OpenSSL.
    command -v pkg-config >/dev/null || missing+=(pkg-config)
    pkg-config --exists openssl 2>/dev/null || missing+=(libssl-dev)
    ((${#missing[@]} == 0)) || apt_install "the C toolchain" "${missing[@]}"
}

pinned_rust() { # the version that rust-toolchain.toml names
    sed -n 's/^channel *= *"\([0-9.]*\)".*/\1/p' "$ROOT/rust-toolchain.toml"
}

need_cargo() {
    local wanted have
    command -v cargo >/dev/null || [[ ! -x $HOME/.cargo/bin/cargo ]] || PATH=$HOME/.cargo/bin:$PATH
    command -v cargo >/dev/null ||
        die "cargo is missing: install Rust with rustup (https://rustup.rs); Debian's own package is too old for this workspace"
    have=$(cd "$ROOT" && rustc --version 2>/dev/null | cut -d' ' -f2)
    [[ -n $have ]] || die "rustc does not run: install the toolchain of rust-toolchain.toml with 'rustup toolchain install $(pinned_rust)'"
    wanted=$(sed -n 's/^rust-version *= *"\([0-9.]*\)".*/\1/p' "$ROOT/Cargo.toml" 2>/dev/null | head -n 1)
    [[ -n $wanted ]] || die "$ROOT/Cargo.toml states no rust-version"
    [[ $(printf '%s\n%s\n' "$wanted" "$have" | sort -V | head -n 1) == "$wanted" ]] ||
        die "Rust $have is too old, $wanted or newer is needed: rustup toolchain install $(pinned_rust), and unset RUSTUP_TOOLCHAIN (Debian's own package is too old)"
}
