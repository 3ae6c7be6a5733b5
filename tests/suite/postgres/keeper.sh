# Keeps the PostgreSQL servers of one test process: starts a node for each name it reads (and the largest size of its files
# in KiB, where one stands beside it), and when its input ends, which
# it does in every case when that process ends, stops all that runs in the folder and removes the folder.
# Arguments: the folder, the server program.
folder=$1 postgres=$2
trap '' HUP INT TERM

while read -r node kib; do
    # PostgreSQL does not start beside an earlier self that the system still knows, and one that was killed is known for a
    # while after the folder is no longer its own: `jobs` takes leave of what has ended, as soon as it has.
    eval "earlier=\${started_$node:-}"
    turns=1000
    while [ -n "$earlier" ] && [ "$turns" -gt 0 ]; do
        jobs > /dev/null
        kill -s 0 "$earlier" 2> /dev/null || break
        turns=$((turns - 1))
        sleep 0.01
    done
    (
        # In units of 512 bytes.
        [ -z "$kib" ] || ulimit -f $((kib * 2))
        exec "$postgres" -D "$folder/$node" >> "$folder/$node.log" 2>&1 < /dev/null
    ) &
    eval "started_$node=$!"
done

# Whatever runs with its working directory inside: servers, and tools that were under way.
inside() {
    find /proc -maxdepth 2 -path '/proc/[0-9]*/cwd' \( -lname "$folder/*" -o -lname "$folder" \) 2> /dev/null | cut -d/ -f3
}

signal=QUIT
for round in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
    pids=$(inside)
    [ -n "$pids" ] || break
    [ "$round" -lt 15 ] || signal=KILL
    kill -s "$signal" $pids 2> /dev/null
    sleep 0.1
done
# A server that was killed leaves a segment of shared memory, named on line 7.
for left in "$folder"/*/postmaster.pid; do
    [ -f "$left" ] && ipcrm -m "$(sed -n 7p "$left" | awk '{ print $2 }')" 2> /dev/null
done
rm -rf "$folder"
