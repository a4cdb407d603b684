package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"portolan"
	"portolan/internal/secret"
	"portolan/internal/store"
)

// MaxGrace is how long an old token may stay valid.
const MaxGrace = 7 * 24 * time.Hour

// tokenShown is how much of a token may be shown.
const tokenShown = 8

// AddCI makes a registry whose images are reported, and answers it with its
// token, which nobody is told again. Nothing is dialled: what the fields say of
// an address is a note for people.
func (s *Service) AddCI(ctx context.Context, account int64, f Fields) (*portolan.Registry, string, error) {
	version := f.Version
	if version == "" {
		version = "-"
	}
	if !slices.Contains([]string{"-", "V1", "V2"}, version) {
		return nil, "", portolan.Invalid("RegistryVersion", "must be one of -, V1, V2")
	}
	f.Version = ""
	d := draft(account, portolan.CICD)
	if err := s.apply(d, f); err != nil {
		return nil, "", err
	}
	r := d.Registry
	if r.Version = version; r.Name == "" {
		r.Name = "CI/CD"
		if r.DomainName != "" {
			r.Name = r.DomainName
		}
	}
	sealed, err := s.seal(d)
	if err != nil {
		return nil, "", err
	}
	token, err := secret.NewToken(rand.Reader)
	if err != nil {
		return nil, "", err
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		if r.ID, err = addRegistry(ctx, tx, r, sealed); err != nil {
			return err
		}
		if err := s.setToken(ctx, tx, account, r.ID, token, 0); err != nil {
			return err
		}
		made, err := tx.Registry(ctx, account, r.ID)
		if err == nil {
			*r = *made
		}
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("add a CI/CD registry: %w", err)
	}
	return r, token, nil
}

func (s *Service) setToken(ctx context.Context, tx *store.Tx, account, id int64, token string, grace time.Duration) error {
	hash := s.Tokens.Sum(token)
	until := time.Time{}
	if grace > 0 {
		until = tx.Now().Add(grace)
	}
	return tx.SetToken(ctx, account, id, token[:tokenShown], hash[:], until)
}

// RefreshToken gives a CI/CD registry a new token and answers it, once. The old
// one ends at once, or after a grace of up to MaxGrace.
func (s *Service) RefreshToken(ctx context.Context, account, id int64, grace time.Duration) (string, error) {
	if grace < 0 || grace > MaxGrace {
		return "", portolan.Invalid("GraceSeconds", "must be an integer from 0 to %d", int(MaxGrace.Seconds()))
	}
	if err := s.reports(ctx, account, id); err != nil {
		return "", err
	}
	token, err := secret.NewToken(rand.Reader)
	if err != nil {
		return "", err
	}
	err = s.DB.Update(ctx, func(tx *store.Tx) error { return s.setToken(ctx, tx, account, id, token, grace) })
	if errors.Is(err, store.ErrNotFound) {
		return "", portolan.ErrRegistryNotExist
	}
	if err != nil {
		return "", fmt.Errorf("change the token of registry %d: %w", id, err)
	}
	return token, nil
}

// ModifyCI changes the name or the days of a CI/CD registry.
func (s *Service) ModifyCI(ctx context.Context, account, id int64, f Fields) error {
	if err := s.reports(ctx, account, id); err != nil {
		return err
	}
	return s.Modify(ctx, account, id, f, nil)
}

// reports is nil if the registry is one that reports its images.
func (s *Service) reports(ctx context.Context, account, id int64) error {
	r, err := s.DB.Registry(ctx, account, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return portolan.ErrRegistryNotExist
	case err != nil:
		return err
	case r.Type.Pull():
		return portolan.Refused("UnsupportedOperation", "Registry %d is of type %s and has no token: this is for registries of type CI/CD.", id, r.Type)
	}
	return nil
}
