package inventory

import (
	"context"
	"fmt"
	"time"
)

// expireEvery is how often images that were not reported for too long leave the
// lists. PersistenceDay counts days, so an hour is soon.
const expireEvery = time.Hour

// Expire takes images out of the lists that no build reported for their
// registry's PersistenceDay days, in small steps, if that was not done within
// the last hour.
func (s *Service) Expire(ctx context.Context) error {
	now := s.Now()
	if last := s.expired.Load(); last != 0 && now.Before(time.UnixMilli(last).Add(expireEvery)) {
		return nil
	}
	for {
		n, err := s.DB.ExpireReported(ctx, purgeBatch)
		if err != nil {
			return fmt.Errorf("expire reported images: %w", err)
		}
		if n == 0 {
			s.expired.Store(now.UnixMilli())
			return nil
		}
		s.Log.InfoContext(ctx, "images left the lists: no build reported them for PersistenceDay days", "images", n)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}
