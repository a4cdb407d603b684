package registry

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/netip"

	"portolan"
	"portolan/internal/secret"
	"portolan/internal/store"
)

// NewHook makes the secret of a registry's webhook, which is known to nobody
// else and not kept. The one before it is refused from now on.
func (s *Service) NewHook(ctx context.Context, account, id int64) (string, error) {
	text, err := secret.NewHookSecret(rand.Reader)
	if err != nil {
		return "", err
	}
	sum := s.Hooks.Sum(text)
	err = s.DB.Update(ctx, func(tx *store.Tx) error {
		r, err := tx.Registry(ctx, account, id)
		if err != nil {
			return err
		}
		if !r.Type.Pull() {
			return portolan.Refused("UnsupportedOperation", "A registry of type CI/CD has no webhook: builds report to it with its token.")
		}
		return tx.SetHook(ctx, account, id, sum[:])
	})
	if errors.Is(err, store.ErrNotFound) {
		return "", portolan.ErrRegistryNotExist
	}
	return text, err
}

// AdmitHook answers the registry whose webhook has a secret, if the peer may
// use it; portolan.ErrNoPermission otherwise, wrapped with the reason. Before
// the secret is known to be right, as much is done for a registry that does not
// exist: how long an answer takes tells nobody which ids there are.
func (s *Service) AdmitHook(ctx context.Context, id int64, text string, peer netip.Addr) (*portolan.Registry, error) {
	account, sum, err := s.DB.Hook(ctx, id)
	unknown := errors.Is(err, store.ErrNotFound)
	if err != nil && !unknown {
		return nil, fmt.Errorf("find the webhook of registry %d: %w", id, err)
	}
	match := s.Hooks.Match(text, sum)
	switch {
	case unknown:
		return nil, refused("there is no such registry")
	case sum == nil:
		return nil, refused("its webhook has no secret yet")
	case !match:
		return nil, refused("the secret is not that of its webhook")
	}
	r, err := s.DB.Registry(ctx, account, id)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nil, refused("the registry was deleted meanwhile")
	case err != nil:
		return nil, fmt.Errorf("load registry %d: %w", id, err)
	case !r.Admits(peer):
		return nil, refused("its address lists do not admit the sender")
	}
	return r, nil
}

// refused is ErrNoPermission with its reason, which is for the log alone.
func refused(why string) error { return fmt.Errorf("%s: %w", why, portolan.ErrNoPermission) }
