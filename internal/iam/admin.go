package iam

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	mathrand "math/rand/v2"
	"regexp"

	"portolan"
	"portolan/internal/policy"
	"portolan/internal/secret"
	"portolan/internal/store"
)

// Credentials are a new key; the secret is shown once.
type Credentials struct {
	AccountID       int64  `json:"AccountId,string"`
	AccessKeyID     string `json:"AccessKeyId"`
	AccessKeySecret string `json:"AccessKeySecret"`
}

// String hides the secret.
func (c Credentials) String() string { return "access key " + c.AccessKeyID }

// GoString hides the secret.
func (c Credentials) GoString() string { return c.String() }

// What an account may have.
const (
	maxUsers      = 5_000
	maxPolicies   = 1_500
	maxKeys       = 2
	maxUserName   = 64
	maxPolicyName = 128

	maxDescription = 1_024
)

// maxAttached is how many policies of a type a user may have.
var maxAttached = map[string]int{store.PolicyCustom: 10, store.PolicySystem: 20}

var (
	userName   = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9._-]{1,%d}$`, maxUserName))
	policyName = regexp.MustCompile(fmt.Sprintf(`^[A-Za-z0-9-]{1,%d}$`, maxPolicyName))
)

// Bootstrap makes the first account with a key of its own, if the store has
// none. save is called before anything is committed: if the credentials
// cannot be saved, there is no account. Of several servers that start at once
// on one store, one makes the account.
func (s *Service) Bootstrap(ctx context.Context, save func(Credentials) error) (made bool, err error) {
	accounts, err := s.DB.Accounts(ctx)
	if err != nil || len(accounts) > 0 {
		return false, err
	}
	late := false
	err = s.addAccount(ctx, "root", save, func(tx *store.Tx) error {
		err := tx.AddSetting(ctx, settingBootstrap, []byte("done"))
		late = errors.Is(err, store.ErrConflict)
		return err
	})
	if late {
		return false, nil
	}
	return err == nil, err
}

// settingBootstrap marks a store that has had its first account.
const settingBootstrap = "first_account"

// AddAccount makes an account with a key of its own. save is as in Bootstrap.
func (s *Service) AddAccount(ctx context.Context, name string, save func(Credentials) error) error {
	if name == "" || len(name) > maxPolicyName || !portolan.Printable(name) {
		return portolan.Invalid("Name", "must be 1 to %d characters without control characters", maxPolicyName)
	}
	return s.addAccount(ctx, name, save, func(*store.Tx) error { return nil })
}

func (s *Service) addAccount(ctx context.Context, name string, save func(Credentials) error, first func(*store.Tx) error) error {
	c, sealed, err := s.newKey(accountNumber())
	if err != nil {
		return err
	}
	return s.DB.Update(ctx, func(tx *store.Tx) error {
		if err := first(tx); err != nil {
			return err
		}
		if err := tx.AddAccount(ctx, c.AccountID, name); err != nil {
			return err
		}
		if err := tx.AddAccessKey(ctx, store.AccessKey{ID: c.AccessKeyID, AccountID: c.AccountID, Secret: sealed}); err != nil {
			return err
		}
		return save(c)
	})
}

func (s *Service) newKey(account int64) (Credentials, []byte, error) {
	c := Credentials{AccountID: account}
	var err error
	if c.AccessKeyID, err = secret.NewAccessKeyID(rand.Reader); err != nil {
		return c, nil, err
	}
	if c.AccessKeySecret, err = secret.NewAccessKeySecret(rand.Reader); err != nil {
		return c, nil, err
	}
	return c, s.Box.Seal([]byte(c.AccessKeySecret), keyContext(c.AccessKeyID)), nil
}

// SuspendAccount suspends or resumes an account.
func (s *Service) SuspendAccount(ctx context.Context, account int64, suspended bool) error {
	return s.update(ctx, "account", func(tx *store.Tx) error { return tx.SuspendAccount(ctx, account, suspended) })
}

// AddUser makes a user.
func (s *Service) AddUser(ctx context.Context, account int64, name string) (store.User, error) {
	if !userName.MatchString(name) {
		return store.User{}, portolan.Invalid("UserName", "must be 1 to %d of letters, digits, dot, hyphen and underscore", maxUserName)
	}
	u := store.User{ID: userNumber(), AccountID: account, Name: name}
	err := s.update(ctx, "user", func(tx *store.Tx) error {
		if err := lock(ctx, tx, account); err != nil {
			return err
		}
		if err := tx.AddUser(ctx, u, portolan.Fold(name)); err != nil {
			return err
		}
		return withinLimits(ctx, tx, account)
	})
	return u, err
}

// DeleteUser deletes a user with its keys and attachments.
func (s *Service) DeleteUser(ctx context.Context, account int64, name string) error {
	if name == "" { // the account itself
		return portolan.Missing("UserName")
	}
	return s.withUser(ctx, account, name, func(tx *store.Tx, u store.User) error { return tx.DeleteUser(ctx, account, u.ID) })
}

// AddKey makes a key for a user, or for the account itself if user is "".
// The secret is shown once.
func (s *Service) AddKey(ctx context.Context, account int64, user string) (Credentials, error) {
	c, sealed, err := s.newKey(account)
	if err != nil {
		return c, err
	}
	add := func(tx *store.Tx, u store.User) error {
		n, err := tx.CountAccessKeys(ctx, account, u.ID)
		if err != nil {
			return err
		}
		if n >= maxKeys {
			return portolan.Refused("LimitExceeded.User.AccessKey", "A user has at most %d access keys; delete one first.", maxKeys)
		}
		return tx.AddAccessKey(ctx, store.AccessKey{ID: c.AccessKeyID, AccountID: account, UserID: u.ID, Secret: sealed})
	}
	if err := s.withUser(ctx, account, user, add); err != nil {
		return Credentials{}, err
	}
	return c, nil
}

// Keys lists the keys of a user, or of the account itself if user is "".
func (s *Service) Keys(ctx context.Context, account int64, user string) ([]store.AccessKey, error) {
	var u store.User
	err := s.DB.View(ctx, func(tx *store.Tx) error {
		var err error
		u, err = find(ctx, tx, account, user)
		return err
	})
	if err != nil {
		return nil, err
	}
	return s.DB.AccessKeys(ctx, account, u.ID)
}

// SetKeyActive enables or disables a key.
func (s *Service) SetKeyActive(ctx context.Context, account int64, id string, active bool) error {
	return s.update(ctx, "access key", func(tx *store.Tx) error { return tx.SetAccessKeyActive(ctx, account, id, active) })
}

// DeleteKey deletes a key.
func (s *Service) DeleteKey(ctx context.Context, account int64, id string) error {
	return s.update(ctx, "access key", func(tx *store.Tx) error { return tx.DeleteAccessKey(ctx, account, id) })
}

// PutPolicy makes or replaces a custom policy.
func (s *Service) PutPolicy(ctx context.Context, p store.Policy) error {
	if !policyName.MatchString(p.Name) {
		return portolan.Invalid("PolicyName", "must be 1 to %d of letters, digits and hyphen", maxPolicyName)
	}
	if _, system := policy.LookupSystem(p.Name); system {
		return portolan.Refused("EntityAlreadyExists.Policy", "There is a system policy %s; choose another name.", p.Name)
	}
	if len([]rune(p.Description)) > maxDescription || !portolan.Printable(p.Description) {
		return portolan.Invalid("Description", "must be at most %d characters without control characters", maxDescription)
	}
	if _, err := policy.Parse(p.Document); err != nil {
		return err
	}
	return s.update(ctx, "policy", func(tx *store.Tx) error {
		if err := lock(ctx, tx, p.AccountID); err != nil {
			return err
		}
		if err := tx.PutPolicy(ctx, p, portolan.Fold(p.Name)); err != nil {
			return err
		}
		return withinLimits(ctx, tx, p.AccountID)
	})
}

// withinLimits refuses a change that leaves the account with more than it may
// have.
func withinLimits(ctx context.Context, tx *store.Tx, account int64) error {
	users, policies, err := tx.CountAccess(ctx, account)
	switch {
	case err != nil:
		return err
	case users > maxUsers:
		return portolan.Refused("LimitExceeded.User", "An account has at most %d users.", maxUsers)
	case policies > maxPolicies:
		return portolan.Refused("LimitExceeded.Policy", "An account has at most %d custom policies.", maxPolicies)
	}
	return nil
}

// DeletePolicy deletes a custom policy that is attached to nobody.
func (s *Service) DeletePolicy(ctx context.Context, account int64, name string) error {
	return s.update(ctx, "policy", func(tx *store.Tx) error {
		err := tx.DeletePolicy(ctx, account, portolan.Fold(name))
		if errors.Is(err, store.ErrConflict) {
			return portolan.Refused("DeleteConflict.Policy.User", "The policy is attached to a user; detach it first.")
		}
		return err
	})
}

// Attach attaches a policy to a user: a system policy if there is one of that
// name, else a custom one.
func (s *Service) Attach(ctx context.Context, account int64, user, name string) error {
	if user == "" { // the account itself may do everything
		return portolan.Missing("UserName")
	}
	kind, key := policyKey(name)
	return s.withUser(ctx, account, user, func(tx *store.Tx, u store.User) error {
		n, err := tx.CountAttachments(ctx, account, u.ID, kind)
		if err != nil {
			return err
		}
		if n >= maxAttached[kind] {
			return portolan.Refused("LimitExceeded.User.Policy", "A user has at most %d policies of type %s.", maxAttached[kind], kind)
		}
		switch err := tx.Attach(ctx, account, u.ID, kind, key); {
		case errors.Is(err, store.ErrNotFound):
			return portolan.Refused("EntityNotExist.Policy", "There is no policy %s.", name)
		case errors.Is(err, store.ErrConflict):
			return portolan.Refused("EntityAlreadyExists.User.Policy", "Policy %s is attached to %s already.", name, user)
		default:
			return err
		}
	})
}

// Detach takes a policy from a user.
func (s *Service) Detach(ctx context.Context, account int64, user, name string) error {
	kind, key := policyKey(name)
	return s.withUser(ctx, account, user, func(tx *store.Tx, u store.User) error {
		err := tx.Detach(ctx, account, u.ID, kind, key)
		if errors.Is(err, store.ErrNotFound) {
			return portolan.Refused("EntityNotExist.User.Policy", "Policy %s is not attached to %s.", name, user)
		}
		return err
	})
}

func policyKey(name string) (kind, key string) {
	if system, ok := policy.LookupSystem(name); ok {
		return store.PolicySystem, system.Name
	}
	return store.PolicyCustom, portolan.Fold(name)
}

// withUser runs a change for a user, the account itself for "".
func (s *Service) withUser(ctx context.Context, account int64, name string, fn func(*store.Tx, store.User) error) error {
	return s.update(ctx, "user", func(tx *store.Tx) error {
		if err := lock(ctx, tx, account); err != nil {
			return err
		}
		u, err := find(ctx, tx, account, name)
		if err != nil {
			return err
		}
		return fn(tx, u)
	})
}

// lock keeps other changes of the account out until the transaction ends.
func lock(ctx context.Context, tx *store.Tx, account int64) error {
	err := tx.LockAccount(ctx, account)
	if errors.Is(err, store.ErrNotFound) {
		return portolan.Refused("EntityNotExist.Account", "There is no account %d.", account)
	}
	return err
}

// find answers a user by name, the account itself for "".
func find(ctx context.Context, tx *store.Tx, account int64, name string) (store.User, error) {
	if name == "" {
		return store.User{AccountID: account}, nil
	}
	u, err := tx.User(ctx, account, portolan.Fold(name))
	if errors.Is(err, store.ErrNotFound) {
		return u, portolan.Refused("EntityNotExist.User", "There is no user %s.", name)
	}
	return u, err
}

// update changes something and lets it act at once on this server.
func (s *Service) update(ctx context.Context, what string, fn func(*store.Tx) error) error {
	err := s.DB.Update(ctx, fn)
	s.keys.drop()
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrNotFound):
		return portolan.Refused("EntityNotExist", "There is no such %s.", what)
	case errors.Is(err, store.ErrConflict):
		return portolan.Refused("EntityAlreadyExists", "There is such a %s already.", what)
	}
	return err
}

// accountNumber makes 16 digits starting with 1, userNumber 18 starting with 2.
func accountNumber() int64 { return 1e15 + mathrand.Int64N(1e15) } //nolint:gosec // names an account, keeps no secret
func userNumber() int64    { return 2e17 + mathrand.Int64N(1e17) } //nolint:gosec // names a user, keeps no secret
