package inventory

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"sync"
	"time"

	"portolan"
	"portolan/internal/connector"
)

// maxRefused bounds how many refused credentials are remembered.
const maxRefused = 1_000

// refusals remember for a while which credentials registries refused, so that
// other entries with the same one do not try it too: accounts are locked after
// a few wrong passwords.
type refusals struct {
	mu    sync.Mutex
	until map[[sha256.Size]byte]time.Time
}

// keyOf tells credentials apart: account, place and all that is secret.
func keyOf(r *portolan.Registry, c portolan.Credential) [sha256.Size]byte {
	b, _ := json.Marshal([]any{r.AccountID, r.Type, r.Address(), r.VpcID, c.UserName, c.Password, c.AuthTokens}) // plain values
	return sha256.Sum256(b)
}

// note remembers that a credential was refused, until a time; zero forgets it.
func (f *refusals) note(key [sha256.Size]byte, until, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	delete(f.until, key)
	if until.IsZero() {
		return
	}
	for k, u := range f.until {
		if !u.After(now) || len(f.until) >= maxRefused {
			delete(f.until, k)
		}
	}
	if f.until == nil {
		f.until = map[[sha256.Size]byte]time.Time{}
	}
	f.until[key] = until
}

func (f *refusals) lately(key [sha256.Size]byte, now time.Time) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.until[key].After(now)
}

// untried is the error of a reading that nobody asked for and that does not try
// a credential, since the same one was refused a moment ago; nil if it is to be tried. What
// people ask for always tries.
func (r *reading) untried(c portolan.Credential) error {
	asked := r.lease.Sync.Cause != portolan.CauseSchedule && !r.hinted()
	if asked || r.plan.Proven || !r.refusals.lately(keyOf(r.source.Registry, c), r.Now()) {
		return nil
	}
	return r.believed(connector.Errorf(portolan.BadCredentials,
		"%s refused the same user name and password a moment ago, for this registry or another; they were not tried again.", r.source.Registry.Address()).
		WithRemedy("Enter the user name and the password or token again, or read the registry by hand to try them."))
}

// believed is the error of a credential that is refused for good: it has
// expired if the same one worked before. What to do is what the connector
// says, which knows which of several credentials was refused.
func (r *reading) believed(err error) error {
	if r.source.WorkedWith != r.source.CredentialVersion {
		return err
	}
	remedy := "Give the registry a new credential."
	if e, ok := errors.AsType[*connector.Error](err); ok && e.Remedy != "" {
		remedy = e.Remedy
	}
	return connector.Errorf(portolan.CredentialsExpired,
		"The credential for %s worked until %s and is now refused: it has expired, was disabled or was changed.",
		r.source.Registry.Address(), r.source.Registry.LastSync.Format(time.DateTime)).WithRemedy("%s", remedy)
}

// noteRefused remembers whether the registry took the credential.
func (r *reading) noteRefused(c portolan.Credential, err error) {
	var until time.Time
	switch class := connector.ClassOf(err); {
	case err == nil:
	case class == portolan.BadCredentials, class == portolan.CredentialsExpired:
		until = r.Now().Add(firstRetry)
	default:
		return
	}
	r.refusals.note(keyOf(r.source.Registry, c), until, r.Now())
}
