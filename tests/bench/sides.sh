# shellcheck shell=bash
# shellcheck disable=SC2154 # memory, pushd, recvd and the like are set by scripts/bench, which sources this
# The two sides of each row: pushd and recvd with a configuration of their own, and the rsync daemon with rsync or lsyncd
# before it. Everything that is started is in `daemons`, which scripts/bench ends.

# ours_in NAME BACKUP DURABILITY [SOURCE]: a recvd, and a pushd.toml in $memory/NAME that sends SOURCE to it.
ours_in() {
    mkdir -p "$2"
    pair "$memory/$1" "$2" "$3"
    daemons+=("$recvd_pid")
    source_of "$memory/$1" "${4:-$memory/source}" "$port"
}

# ours NAME [OPTION …]
ours() {
    "$pushd" sync --no-progress --release --log-level error --config "$memory/$1/pushd.toml" "${@:2}"
}

# ours_live NAME: pushd run, until it is live; sets $live.
ours_live() {
    "$pushd" run --log-level error --config "$memory/$1/pushd.toml" 2>"$memory/$1/pushd.log" &
    live=$!
    daemons+=("$live")
    until status "$1" | grep -q '"state":"live","since".*"lag_ms":0'; do
        kill -0 "$live" 2>/dev/null || fail "pushd run ended: $(cat "$memory/$1/pushd.log")"
        sleep 0.02
    done
}

status() {
    "$pushd" status --json --config "$memory/$1/pushd.toml" 2>/dev/null | tr -d ' \n' || true
}

# wire NAME: bytes that a live pushd has sent so far.
wire() {
    status "$1" | sed -n 's/.*"wire_bytes":\([0-9]*\).*/\1/p'
}

theirs_in() {
    mkdir -p "$2"
    printf '[%s]\npath = %s\nread only = no\n' "$1" "$2" >>"$memory/rsyncd.conf"
    # Without a chroot, which needs root, rsyncd changes the text of symbolic links.
    if ((EUID == 0)); then
        printf 'uid = root\ngid = root\nuse chroot = yes\n' >>"$memory/rsyncd.conf"
    else
        printf 'use chroot = no\n' >>"$memory/rsyncd.conf"
        links=--no-links
    fi
}

theirs_start() {
    local tries=0
    while ((tries++ < 50)); do
        rsync_port=$((20000 + RANDOM % 20000))
        rsync --daemon --no-detach --config="$memory/rsyncd.conf" --address=127.0.0.1 --port="$rsync_port" 2>"$memory/rsyncd.log" &
        local pid=$!
        sleep 0.3
        if kill -0 "$pid" 2>/dev/null && rsync "rsync://127.0.0.1:$rsync_port/" >/dev/null 2>&1; then
            daemons+=("$pid")
            return
        fi
        end "$pid"
    done
    fail "rsync --daemon does not start: $(cat "$memory/rsyncd.log")"
}

# theirs MODULE [OPTION …], from $from or the tree.
theirs() {
    rsync -a --delete "${@:2}" "${from:-$memory/source}/" "rsync://127.0.0.1:$rsync_port/$1/"
}

# theirs_live MODULE SOURCE: lsyncd before the rsync daemon, until its first pass is through; sets $live.
theirs_live() {
    cat >"$memory/lsyncd.lua" <<LUA
settings { nodaemon = true, logfile = "$memory/lsyncd.log", insist = true }
sync { default.rsync, source = "$2/", target = "rsync://127.0.0.1:$rsync_port/$1/", delay = 0, rsync = { archive = true } }
LUA
    : >"$memory/lsyncd.log"
    lsyncd "$memory/lsyncd.lua" >/dev/null 2>&1 &
    live=$!
    daemons+=("$live")
    until grep -q 'Startup of .* finished' "$memory/lsyncd.log"; do
        kill -0 "$live" 2>/dev/null || fail "lsyncd ended: $(cat "$memory/lsyncd.log")"
        sleep 0.02
    done
}

stop_live() {
    end "$live"
}

empty() {
    find "$1" -mindepth 1 -maxdepth 1 -exec rm -rf {} +
    sync -f "$1"
}

# own PID: memory of its own, in KiB.
own() {
    sed -n 's/^RssAnon:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$1/status"
}

# most_of COMMAND …: runs it; sets $most to the most memory that it had at a time, in KiB.
most_of() {
    local now
    most=0
    "$@" &
    local pid=$!
    while now=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$pid/status" 2>/dev/null) && [[ $now ]]; do
        most=$now
        sleep 0.02
    done
    wait "$pid" || fail "failed: $*"
}
