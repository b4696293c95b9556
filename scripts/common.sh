# shellcheck shell=bash
# shellcheck disable=SC2034 # what is set here is used by those who source it
# Shared by the scripts beside it, which source it: what to install, where the programs are, a pair of daemons on
# loopback with everything they need in a scratch folder, and the clock.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}
password='correct horse battery staple'

fail() {
    printf '%s: %s\n' "${0##*/}" "$*" >&2
    exit 1
}

# valued OPTION [VALUE …]: ends with a sentence where the option at the beginning of these words has no value after it.
valued() {
    (($# > 1)) && return
    printf '%s: %s needs a value; see --help\n' "${0##*/}" "$1" >&2
    exit 64
}

# Ends with one sentence where the Rust that is here does not suffice: an older cargo does not even read our manifests, and
# what it says then is about their words.
toolchain() {
    local least how tool version
    least=$(sed -n 's/^rust-version = "\(.*\)"/\1/p' "$root/Cargo.toml")
    how='rustup installs it, beside the Rust of a distribution and without root: https://rustup.rs; where rustup is there: rustup update'
    for tool in cargo rustc; do
        command -v "$tool" >/dev/null || fail "$tool is missing, and Rust $least or newer is needed: $how"
        version=$(cd "$root" && "$tool" --version)
        version=${version#* }
        version=${version%% *}
        [[ $(printf '%s\n' "$least" "$version" | sort -V | head -n 1) == "$least" ]] ||
            fail "$(command -v "$tool") is $version, and Rust $least or newer is needed: $how"
    done
}

# need COMMAND PACKAGE …: installs the Debian packages of the commands that are missing, and nothing else.
need() {
    local missing=()
    while (($# > 1)); do
        [[ " ${missing[*]} " == *" $2 "* ]] || command -v "$1" >/dev/null || missing+=("$2")
        shift 2
    done
    ((${#missing[@]})) || return 0
    command -v apt-get >/dev/null || fail "please install: ${missing[*]}"
    local as=()
    if ((EUID != 0)); then
        command -v sudo >/dev/null || fail "please install as root: apt-get install ${missing[*]}"
        as=(sudo)
    fi
    echo "installing ${missing[*]}" >&2
    local quiet=(env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0)
    "${as[@]}" "${quiet[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null 2>&1 && return
    # The lists of packages may be missing or old.
    "${as[@]}" "${quiet[@]}" update >/dev/null
    "${as[@]}" "${quiet[@]}" install -y --no-install-recommends "${missing[@]}" >/dev/null
}

# Builds both programs; sets $pushd and $recvd.
build_release() {
    toolchain
    # Rust needs a linker, and the cryptography a C compiler.
    command -v cc >/dev/null || need gcc gcc
    [[ -e /usr/include/stdio.h ]] || need /usr/include/stdio.h libc6-dev
    (cd "$root" && cargo build --release --locked --bins)
    pushd=$target/release/pushd
    recvd=$target/release/recvd
}

# Microseconds since 1970.
now() {
    local seconds=${EPOCHREALTIME//,/.}
    printf -v "$1" '%s' "${seconds/./}"
}

# Sets a variable to the seconds of some microseconds, as 1.234.
seconds() {
    printf -v "$1" '%d.%03d' $(($2 / 1000000)) $(($2 / 1000 % 1000))
}

# pair DIR BACKUP DURABILITY: certificate, user and recvd.toml in DIR, and a recvd that runs and keeps module m in BACKUP.
# Sets $recvd_pid and $port.
pair() {
    local dir=$1 backup=$2 durability=$3 keep=
    # Without root nobody can give files away.
    ((EUID == 0)) || keep='keep = ["mode", "mtime", "symlinks", "hardlinks", "xattrs", "acls"]'
    mkdir -p "$dir"
    "$recvd" cert --dir "$dir" --name 127.0.0.1 >"$dir/cert.txt"
    (umask 077 && printf '%s\n' "$password" >"$dir/password")
    "$recvd" passwd --users-file "$dir/users.toml" demo <"$dir/password" >/dev/null
    cat >"$dir/recvd.toml" <<TOML
listen     = ["127.0.0.1:0"]
users_file = "users.toml"
control_socket = "recvd.sock"
state_dir  = "recvd-state"
durability = "$durability"
[tls]
certificate = "cert.pem"
private_key = "key.pem"
[module.m]
path  = $(quoted "$backup")
users = { demo = "push" }
$keep
TOML
    "$recvd" run --config "$dir/recvd.toml" 2>"$dir/recvd.log" &
    recvd_pid=$!
    local tries=0
    until port=$(sed -n 's/.*listening on .*:\([0-9][0-9]*\).*/\1/p' "$dir/recvd.log" 2>/dev/null) && [[ $port ]]; do
        if ! kill -0 "$recvd_pid" 2>/dev/null || ((tries++ > 500)); then
            fail "recvd does not start: $(cat "$dir/recvd.log")"
        fi
        sleep 0.02
    done
}

# source_of DIR SOURCE PORT: pushd.toml in DIR.
source_of() {
    cat >"$1/pushd.toml" <<TOML
control_socket = "control.sock"
state_dir      = "pushd-state"
[target.backup]
address       = "127.0.0.1:$3"
module        = "m"
user          = "demo"
password_file = "password"
ca_file       = "cert.pem"
[source.live]
path    = $(quoted "$2")
targets = ["backup"]
TOML
}

# A path as text in TOML.
quoted() {
    local text=${1//\\/\\\\}
    printf '"%s"' "${text//\"/\\\"}"
}

# Ends processes that this script has started, and waits for them.
end() {
    local pid
    for pid in "$@"; do
        kill "$pid" 2>/dev/null || true
    done
    for pid in "$@"; do
        wait "$pid" 2>/dev/null || true
    done
}
