package portolan

import "time"

// Causes of a reading, as Trigger of the wire has them.
const (
	CauseAdd      = "add"
	CauseManual   = "manual"
	CauseSchedule = "schedule"
	CauseWebhook  = "webhook"
)

// MaxIssues is how many issues a ledger keeps.
const MaxIssues = 100

// Sync is one reading of a registry.
type Sync struct {
	ID              string
	AccountID       int64
	RegistryID      int64
	Cause           string
	Status          SyncStatus
	Full            bool
	ConfirmVanished bool
	Generation      int64
	Created         time.Time
	Started         time.Time
	Ended           time.Time
	Ledger          Ledger
}

// Ledger is the account of a reading, from counters that are kept apart:
// RepositoriesListed = Read + Skipped + Failed, and RowsListed = ImagesSeen +
// DuplicateTags + Accessories + OtherArtifacts + RowsFailed + Unexplained,
// with Unexplained 0. A row is a tag, or an artifact for Harbor.
type Ledger struct {
	RepositoriesListed  int `json:",omitzero"`
	RepositoriesRead    int `json:",omitzero"`
	RepositoriesSkipped int `json:",omitzero"`
	RepositoriesFailed  int `json:",omitzero"`

	RowsListed     int `json:",omitzero"`
	RowsFailed     int `json:",omitzero"`
	ImagesSeen     int `json:",omitzero"`
	DuplicateTags  int `json:",omitzero"`
	Accessories    int `json:",omitzero"`
	OtherArtifacts int `json:",omitzero"`
	Unexplained    int `json:",omitzero"`

	TagsRead      int `json:",omitzero"`
	ManifestsRead int `json:",omitzero"`

	ImagesAdded   int `json:",omitzero"`
	ImagesUpdated int `json:",omitzero"`
	ImagesGone    int `json:",omitzero"`
	ImagesHeld    int `json:",omitzero"`

	Requests  int64         `json:",omitzero"`
	BytesRead int64         `json:",omitzero"`
	Throttled time.Duration `json:",omitzero"`
	Truncated bool          `json:",omitzero"`

	ErrorCode    ErrorClass `json:",omitzero"`
	ErrorMessage string     `json:",omitzero"`
	Issues       []Issue    `json:",omitzero"`
}

// Issue is one thing that went wrong in a reading.
type Issue struct {
	Repository string
	Step       string
	Code       ErrorClass
	Message    string
}

// AddIssue notes an issue; those past MaxIssues are only counted elsewhere.
func (l *Ledger) AddIssue(i Issue) {
	if len(l.Issues) < MaxIssues {
		l.Issues = append(l.Issues, i)
	}
}

// Outcome derives the status of a finished reading: ok when every repository
// is complete and nothing is held, failed when none is, else partial. A
// complete catalogue without repositories is ok.
func (l *Ledger) Outcome() SyncStatus {
	complete := l.RepositoriesRead + l.RepositoriesSkipped
	switch {
	case l.ErrorCode == "" && l.RepositoriesFailed == 0 && l.ImagesHeld == 0:
		return SyncOK
	case complete == 0 && l.ImagesHeld == 0:
		return SyncFailed
	}
	return SyncPartial
}
