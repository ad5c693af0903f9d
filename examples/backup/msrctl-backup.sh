#!/bin/sh
# One backup, proven; then the oldest beyond BACKUP_KEEP go. For a timer or a CI job.
#
# Exit code: that of msrctl (0: there is a new backup and it is whole). Old backups go only after a new one was
# proven, so that a month of failures never leaves none.
#
# Variables, all optional:
#   BACKUP_DIRECTORY   where backups are kept; default /var/backups/msrctl
#   BACKUP_KEEP        how many; default 14
#   BACKUP_OPTIONS     for msrctl backup, such as "--include-images" or "--recipient age1..."
#   BACKUP_METRICS     file for the node exporter's textfile collector, such as
#                      /var/lib/node_exporter/textfile/msrctl-backup.prom
#   MSRCTL_BACKUP_PASSPHRASE_FILE   with it, or with MSRCTL_BACKUP_PASSPHRASE, backups are encrypted
#   MSRCTL_BACKUP_IDENTITY          private key to prove a backup for --recipient with; without it such a
#                                   backup cannot be opened here, and its proof is left to a drill elsewhere
#   DOCKER_HOST        engine to talk to
set -eu
umask 077

directory=${BACKUP_DIRECTORY:-/var/backups/msrctl}
keep=${BACKUP_KEEP:-14}
options=${BACKUP_OPTIONS:-}
case $keep in '' | *[!0-9]* | 0) echo "BACKUP_KEEP must be a number above 0, not '$keep'" >&2; exit 2 ;; esac
mkdir -p "$directory"

# All backups, the newest first: the names sort by time.
backups() { find "$directory" -maxdepth 1 -type f -name 'msrctl-*Z.backup' | sort -r; }

if [ -n "${MSRCTL_BACKUP_PASSPHRASE_FILE:-}${MSRCTL_BACKUP_PASSPHRASE:-}" ]; then
  options="$options --encrypt"
fi
name=$directory/msrctl-$(date -u +%Y%m%dT%H%M%SZ).backup

status=0
# The options are words: no quotes.
# shellcheck disable=SC2086
msrctl --output json backup $options --output-file "$name" >"$directory/last.json.new" || status=$?
mv "$directory/last.json.new" "$directory/last.json"

case " $options " in
  *" --recipient"*) [ -n "${MSRCTL_BACKUP_IDENTITY:-}" ] && proven=yes || proven=no ;;
  *) proven=yes ;;
esac
if [ "$status" = 0 ] && [ "$proven" = yes ]; then
  msrctl --output json backup verify "$name" >"$directory/last-verify.json" || status=$?
  # A file that is not whole is kept for a look, under a name that nothing takes for a backup.
  [ "$status" = 0 ] || mv "$name" "$name.bad"
fi
if [ "$status" = 0 ]; then
  backups | tail -n "+$((keep + 1))" | while IFS= read -r old; do rm -f -- "$old"; done
fi

if [ -n "${BACKUP_METRICS:-}" ]; then
  newest=$(backups | head -n 1)
  {
    echo '# HELP msrctl_backup_exit_code How the last run ended; 0: a whole backup.'
    echo '# TYPE msrctl_backup_exit_code gauge'
    echo "msrctl_backup_exit_code $status"
    echo '# HELP msrctl_backups How many backups are kept.'
    echo '# TYPE msrctl_backups gauge'
    echo "msrctl_backups $(backups | wc -l)"
    if [ -n "$newest" ]; then
      echo '# HELP msrctl_backup_timestamp_seconds When the newest backup was made, Unix time.'
      echo '# TYPE msrctl_backup_timestamp_seconds gauge'
      echo "msrctl_backup_timestamp_seconds $(stat -c %Y "$newest")"
      echo '# HELP msrctl_backup_bytes Size of the newest backup.'
      echo '# TYPE msrctl_backup_bytes gauge'
      echo "msrctl_backup_bytes $(stat -c %s "$newest")"
    fi
  } >"$BACKUP_METRICS.new"
  chmod 644 "$BACKUP_METRICS.new" # there is no secret in it, and the collector is another user
  mv "$BACKUP_METRICS.new" "$BACKUP_METRICS"
fi
exit "$status"
