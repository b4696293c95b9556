# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034,SC2317,SC2329 # see sides.sh; functions are called by name
# The rows of the table, one function each. `rows` in scripts/bench names those that run, in this order.

nothing() { :; }

# The backups of a row are $backups followed by ours and theirs.
empty_ours() { empty "${backups}ours"; }
empty_theirs() { empty "${backups}theirs"; }

# ── a tree, cold ─────────────────────────────────────────────────────────────────────────────────────────────────────

row_first_pass() {
    backups=$memory/
    pass_ours() { ours memory; }
    pass_theirs() { theirs memory; }
    row 'first pass, memory to memory, durability none' 0.60 empty_ours pass_ours empty_theirs pass_theirs
    equal "$memory/source" "$memory/ours"
    equal "$memory/source" "$memory/theirs"
}

# After row_first_pass: both backups are equal to the source.
row_unchanged() {
    pass_ours() { ours memory; }
    pass_theirs() { theirs memory; }
    pass_ours
    pass_theirs
    row 'unchanged pass, memory to memory' 0.35 nothing pass_ours nothing pass_theirs
}

row_first_pass_disk() {
    backups=$slow/
    pass_ours() { ours disk; }
    pass_theirs() { theirs disk; }
    row 'first pass, memory to disk, ours flushed (durability batch), theirs not' 1.30 empty_ours pass_ours empty_theirs pass_theirs
}

row_first_pass_flushed() {
    backups=$slow/
    pass_ours() { ours disk; }
    pass_theirs() { theirs disk --fsync; }
    row 'first pass, memory to disk, all flushed (durability batch; rsync --fsync)' '' empty_ours pass_ours empty_theirs pass_theirs
    equal "$memory/source" "$slow/ours"
    equal "$memory/source" "$slow/theirs"
}

# ── one large file ───────────────────────────────────────────────────────────────────────────────────────────────────

row_large() {
    from=$memory/large-source
    mkdir -p "$from"
    head -c $((1 << 30)) /dev/urandom >"$from/large"
    ours_in large "$memory/large-ours" none "$from"
    backups=$memory/large-
    pass_ours() { ours large --json >"$memory/large.json"; }
    pass_theirs() { theirs large; }
    row 'one new file of 1 GiB, random bytes' 0.65 empty_ours pass_ours empty_theirs pass_theirs
    row '1,000,000 bytes appended to it' 0.30 append_ours pass_ours nothing pass_theirs
    fact 'the same, on the wire to recvd' "$(sent_in "$memory/large.json")"
    row '1 byte inserted near its front' 0.60 insert_ours pass_ours nothing pass_theirs
    fact 'the same, on the wire to recvd' "$(sent_in "$memory/large.json")"
    cmp "$from/large" "$memory/large-ours/large" && cmp "$from/large" "$memory/large-theirs/large" || fail 'the large files differ'
    unset from
    rm -rf "$memory"/large-*
}

append_ours() { head -c 1000000 /dev/urandom >>"$from/large"; }

insert_ours() {
    { head -c 1000 "$from/large" && printf x && tail -c +1001 "$from/large"; } >"$memory/large-new"
    mv "$memory/large-new" "$from/large"
}

# Bytes that a pass has sent, by its report.
sent_in() {
    printf '%s bytes' "$(tr -d ' \n' <"$1" | sed -n 's/.*"wire_bytes":\([0-9]*\).*/\1/p')"
}

# ── live ─────────────────────────────────────────────────────────────────────────────────────────────────────────────

# live_begin: an empty watched folder for each side, and both watchers at work on theirs; live_end ends them.
live_begin() {
    ours_in live "$memory/live-ours" none "$memory/live-source-ours"
    mkdir -p "$memory/live-source-ours" "$memory/live-source-theirs"
    ours_live live
    live_ours=$live
    theirs_live live "$memory/live-source-theirs"
    live_theirs=$live
}

live_end() {
    end "$live_ours" "$live_theirs"
    rm -rf "$memory"/live-*
}

# delays SOURCE BACKUP COUNT: the time until each of so many files of 4 KiB is visible, sorted, in microseconds.
delays() {
    local n began ended content all=()
    printf -v content '%4096s' x
    for ((n = 0; n < $3; n++)); do
        now began
        printf %s "$content" >"$1/delay-$n"
        until [[ -s $2/delay-$n ]]; do :; done
        now ended
        all+=($((ended - began)))
        sleep 0.0$((RANDOM % 40 + 10))
    done
    printf '%s\n' "${all[@]}" | sort -n
}

row_latency() {
    local count=200 mine other percent
    delays "$memory/live-source-ours" "$memory/live-ours" "$count" >"$memory/delays-ours"
    delays "$memory/live-source-theirs" "$memory/live-theirs" "$count" >"$memory/delays-theirs"
    for percent in 50 99; do
        mine=$(sed -n "$((count * percent / 100))p" "$memory/delays-ours")
        other=$(sed -n "$((count * percent / 100))p" "$memory/delays-theirs")
        line "a file of 4 KiB written → visible, p$percent of $count" "$mine" "$other" "$((percent == 50 ? 3 : 15)) ms" ''
    done
}

# all_there FOLDER COUNT
all_there() {
    local names
    until names=("$1"/*) && ((${#names[@]} >= $2)); do
        sleep 0.002
    done
}

# make_many FOLDER: 5,000 files of 1 KiB.
make_many() {
    mkdir -p "$1"
    local n
    for ((n = 0; n < 5000; n++)); do
        printf '%1024s' "$n" >"$1/file-$n"
    done
}

row_many() {
    make_many "$memory/many"
    place() { cp -r "$memory/many" "$memory/live-source-$1/many" && all_there "$memory/live-$1/many" 5000; }
    clear() { rm -rf "$memory/live-source-$1/many" && until [[ ! -e $memory/live-$1/many ]]; do sleep 0.01; done; }
    many_ours() { place ours; }
    many_theirs() { place theirs; }
    clear_ours() { clear ours; }
    clear_theirs() { clear theirs; }
    row '5,000 new files under watch → all there (the copying included)' 0.10 clear_ours many_ours clear_theirs many_theirs
}

row_rename() {
    local side
    for side in ours theirs; do
        mkdir "$memory/live-source-$side/old"
        cp "$memory/many"/file-1??? "$memory/many"/file-2??? "$memory/live-source-$side/old"
        all_there "$memory/live-$side/old" 2000
    done
    "$pushd" wait --config "$memory/live/pushd.toml" --timeout 30s
    move() {
        local at=$memory/live-source-$1
        [[ -d $at/old ]] && set -- "$1" old new || set -- "$1" new old
        mv "$at/$2" "$at/$3"
        all_there "$memory/live-$1/$3" 2000
    }
    move_ours() { move ours; }
    move_theirs() { move theirs; }
    local before
    before=$(wire live)
    row 'a folder of 2,000 files renamed' 0.03 nothing move_ours nothing move_theirs
    "$pushd" wait --config "$memory/live/pushd.toml" --timeout 30s
    fact "the same, on the wire to recvd, each of $((rounds + 1))" "$((($(wire live) - before) / (rounds + 1))) bytes"
}

# wakes PID …: how often their threads have woken by now.
wakes() {
    local pid sum=0 each
    for pid in "$@"; do
        for each in $(sed -n 's/^voluntary_ctxt_switches:[^0-9]*//p' /proc/"$pid"/task/*/status); do
            sum=$((sum + each))
        done
    done
    echo "$sum"
}

row_idle() {
    local before
    sleep 3
    before=$(wakes "$live_ours" "$live_recvd")
    sleep 30
    fact 'idle: wakeups of pushd and recvd together in 30 s, three keepalives among them' "$(($(wakes "$live_ours" "$live_recvd") - before))"
}

row_live() {
    live_begin
    live_recvd=$recvd_pid
    row_latency
    row_many
    row_rename
    row_idle
    live_end
}

# ── many folders, many files ─────────────────────────────────────────────────────────────────────────────────────────

# make_folders FOLDER: as many as can be watched, at most 300,000.
make_folders() {
    local most count n
    most=$(cat /proc/sys/fs/inotify/max_user_watches)
    count=$((most - 2000 < 300000 ? most - 2000 : 300000))
    mkdir -p "$1"
    for ((n = 0; n * 1000 < count; n++)); do
        eval "mkdir -p '$1/$n/'{1..999}"
    done
}

row_folders() {
    local count began ended mine other
    make_folders "$memory/folders-source"
    count=$(find "$memory/folders-source" -type d | wc -l)
    ours_in folders "$memory/folders-ours" none "$memory/folders-source"
    ours folders
    from=$memory/folders-source theirs folders
    now began
    ours_live folders
    now ended
    mine=$((ended - began))
    local own_ours own_theirs
    own_ours=$(own "$live")
    stop_live
    now began
    theirs_live folders "$memory/folders-source"
    now ended
    other=$((ended - began))
    own_theirs=$(own "$live")
    stop_live
    line "$count folders: start → watched and in sync" "$mine" "$other" '10 s' ''
    fact 'the same, memory of its own, pushd / lsyncd' "$((own_ours / 1024)) / $((own_theirs / 1024)) MiB"
    rm -rf "$memory"/folders-*
}

# make_million FOLDER: 1,000,000 files in 10,000 folders.
make_million() {
    local a b
    for ((a = 0; a < 10000; a++)); do
        mkdir -p "$1/$a"
        for ((b = 0; b < 100; b++)); do
            printf %s "$a $b" >"$1/$a/$b"
        done
    done
}

row_million() {
    local most
    make_million "$memory/million-source"
    ours_in million "$memory/million-ours" none "$memory/million-source"
    # One after the other: three times as many entries are more than a file system in memory has by default.
    million_pass() {
        local began ended
        now began
        most_of "$@"
        now ended
        took+=($((ended - began)))
        memories+=("$((most / 1024))")
    }
    local took=() memories=() pass
    for pass in first unchanged; do
        million_pass "$pushd" sync --no-progress --release --log-level error --config "$memory/million/pushd.toml"
        memories[-1]+=" / $(($(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\).*/\1/p' "/proc/$recvd_pid/status") / 1024))"
    done
    rm -rf "$memory/million-ours"
    for pass in first unchanged; do
        million_pass rsync -a --delete "$memory/million-source/" "rsync://127.0.0.1:$rsync_port/million/"
    done
    for pass in 0 1; do
        line "1,000,000 files in 10,000 folders, $( ((pass)) && echo unchanged || echo first) pass" "${took[pass]}" "${took[pass + 2]}" '' ''
        fact 'the same, most memory, pushd / recvd / rsync client' "${memories[pass]} / ${memories[pass + 2]} MiB"
    done
    rm -rf "$memory"/million-*
}

# ── a slow link ──────────────────────────────────────────────────────────────────────────────────────────────────────

# A source of text, and a link of 100 Mbit/s between two networks; sets $from, $near, $far and $address.
slow_link() {
    need ip iproute2 tc iproute2
    from=$memory/slow-source
    mkdir -p "$from"
    # Text: what is compressed already would be as large with either.
    rsync -a --prune-empty-dirs --include='*/' --include='*.py' --include='*.p[lm]' --include='*.txt' --include='*.h' --include=copyright \
        --exclude='*' /usr/lib/python3 /usr/share/perl /usr/share/doc "$from/"
    near=bench-near-$$ far=bench-far-$$ address=10.213.77
    networks=("$near" "$far")
    ip netns add "$near" && ip netns add "$far"
    ip link add near netns "$near" type veth peer name far netns "$far"
    ip -n "$near" addr add "$address.1/24" dev near && ip -n "$far" addr add "$address.2/24" dev far
    local one
    for one in "$near near" "$far far"; do
        # shellcheck disable=SC2086 # two words
        set -- $one
        ip -n "$1" link set "$2" up
        tc -n "$1" qdisc add dev "$2" root tbf rate 100mbit burst 128kb latency 50ms
    done
}

pass_slow() { ip netns exec "$near" "$pushd" sync --no-progress --release --log-level error --config "$memory/slow/pushd.toml"; }

row_slow() {
    if ((EUID != 0)); then
        fact 'a link of 100 Mbit/s' 'left out: only root can make one'
        return
    fi
    slow_link
    slow_recvd "$far" "$address.2"
    mkdir -p "$memory/slow-theirs"
    printf '[slow]\npath = %s\nread only = no\nuid = root\ngid = root\nuse chroot = yes\n' "$memory/slow-theirs" >"$memory/slow/rsyncd.conf"
    ip netns exec "$far" rsync --daemon --no-detach --config="$memory/slow/rsyncd.conf" --port=873 &
    daemons+=($!)
    sleep 1
    backups=$memory/slow-
    pass_theirs() { ip netns exec "$near" rsync -az --delete "$from/" "rsync://$address.2/slow/"; }
    row "text, $(du -sm "$from" | cut -f1) MiB, over 100 Mbit/s, compress auto; rsync -az" 0.80 empty_ours pass_slow empty_theirs pass_theirs
    equal "$from" "$memory/slow-ours"
    unset from
    rm -rf "$memory"/slow-*
}

# slow_recvd NETWORK ADDRESS: recvd in that network, and pushd.toml for it.
slow_recvd() {
    local dir=$memory/slow
    mkdir -p "$memory/slow-ours"
    pair "$dir" "$memory/slow-ours" none
    end "$recvd_pid"
    rm "$dir"/{cert.pem,key.pem,recvd.log}
    "$recvd" cert --dir "$dir" --name "$2" >/dev/null
    sed -i "s/127.0.0.1:0/$2:8730/" "$dir/recvd.toml"
    source_of "$dir" "$from" 8730
    sed -i "s/127.0.0.1:8730/$2:8730/" "$dir/pushd.toml"
    ip netns exec "$1" "$recvd" run --config "$dir/recvd.toml" 2>"$dir/recvd.log" &
    daemons+=($!)
    until grep -qs 'listening on' "$dir/recvd.log"; do
        kill -0 "$!" 2>/dev/null || fail "recvd does not start: $(cat "$dir/recvd.log")"
        sleep 0.02
    done
}
