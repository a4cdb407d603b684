module portolan

go 1.26.0

require (
	github.com/emmansun/gmsm v0.15.5 // SM3, for ACS3-HMAC-SM3 signatures
	github.com/goccy/go-yaml v1.19.2 // profiles and registry import
	github.com/gofrs/flock v0.13.1 // one server on a SQLite store
	github.com/google/go-cmp v0.7.0 // differences in tests
	github.com/google/go-containerregistry v0.22.1 // the demo's and the tests' registry
	github.com/google/uuid v1.6.0 // ids of images and readings
	github.com/hashicorp/yamux v0.1.2 // streams over an agent's one connection
	github.com/jackc/pgx/v5 v5.12.0 // PostgreSQL
	github.com/prometheus/client_golang v1.25.0 // /metrics
	github.com/riverqueue/river v0.51.1 // jobs in the transaction of their data
	github.com/riverqueue/river/riverdriver v0.51.1 // the same
	github.com/riverqueue/river/riverdriver/riverdatabasesql v0.51.1 // the same, on PostgreSQL
	github.com/riverqueue/river/riverdriver/riversqlite v0.51.1 // the same, on SQLite
	github.com/rogpeppe/go-internal v1.16.0 // testscript runs the end-to-end scripts
	github.com/spf13/cobra v1.10.2 // the command line and its completion
	github.com/spf13/pflag v1.0.10 // cobra's flags
	golang.org/x/net v0.62.0 // punycode, proxies, the limit of connections
	golang.org/x/sync v0.25.0 // errgroup for parts read at once; semaphore for rows that wait
	golang.org/x/term v0.48.0 // password prompts
	golang.org/x/text v0.43.0 // Unicode case folding and normal forms
	modernc.org/sqlite v1.62.0 // SQLite without cgo
)

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dustin/go-humanize v1.1.0 // indirect
	github.com/inconshreveable/mousetrap v1.1.0 // indirect
	github.com/jackc/pgpassfile v1.0.0 // indirect
	github.com/jackc/pgservicefile v0.0.0-20240606120523-5a60cdf6a761 // indirect
	github.com/jackc/puddle/v2 v2.2.3 // indirect
	github.com/lib/pq v1.12.3 // indirect
	github.com/mattn/go-isatty v0.0.24 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/ncruces/go-strftime v1.1.0 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/common v0.72.0 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	github.com/remyoudompheng/bigfft v0.0.0-20230129092748-24d4a6f8daec // indirect
	github.com/riverqueue/river/riverdriver/riverpgxv5 v0.51.1 // indirect
	github.com/riverqueue/river/rivershared v0.51.1 // indirect
	github.com/riverqueue/river/rivertype v0.51.1 // indirect
	github.com/tidwall/gjson v1.20.0 // indirect
	github.com/tidwall/match v1.2.0 // indirect
	github.com/tidwall/pretty v1.2.1 // indirect
	github.com/tidwall/sjson v1.2.5 // indirect
	golang.org/x/sys v0.50.0 // indirect
	golang.org/x/tools v0.52.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
	modernc.org/libc v1.80.1 // indirect
	modernc.org/mathutil v1.7.1 // indirect
	modernc.org/memory v1.12.1 // indirect
)
