// Package iam knows accounts, users, access keys and policies: it answers who
// signed a call, and whether that caller may do what the call asks.
//
// It must not know HTTP, products or what operations do.
package iam

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"portolan"
	"portolan/internal/policy"
	"portolan/internal/rpc"
	"portolan/internal/secret"
	"portolan/internal/sign"
	"portolan/internal/store"
)

// Config of a Service.
type Config struct {
	DB *store.DB
	// Box seals the secrets of keys.
	Box *secret.Box
	Now func() time.Time
	// Log takes the refusals of calls; nil for nowhere.
	Log *slog.Logger
}

// Service authenticates and authorises, and keeps accounts, users, keys and
// policies.
type Service struct {
	Config
	keys     keyCache
	nonces   nonces
	refusals refusals
}

// New makes a Service.
func New(c Config) *Service {
	if c.Now == nil {
		c.Now = time.Now
	}
	return &Service{Config: c, nonces: nonces{max: maxNonces}}
}

// Skew is how far a request's time may be from the server's, either way.
const Skew = 15 * time.Minute

// nonceLife is how long a nonce is kept: a request can be sent again until its
// time is out of the window.
const nonceLife = 2*Skew + time.Minute

var (
	errUnknownKey = &portolan.Error{Code: "InvalidAccessKeyId.NotFound", Status: http.StatusNotFound, Message: "Specified access key is not found."}
	errInactive   = portolan.Refused("InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
	errToken      = portolan.Refused("InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
	errNoToken    = portolan.Missing("SecurityToken")
	errTimeFormat = portolan.Refused("InvalidTimeStamp.Format", "Specified time stamp or date value is not well formatted.")
	errExpired    = portolan.Refused("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")
	errNonceUsed  = portolan.Refused("SignatureNonceUsed", "Specified signature nonce was used already.")
)

// timeFormat is how requests and policies write times.
const timeFormat = "2006-01-02T15:04:05Z"

// temporaryPrefix starts the access keys of role sessions.
const temporaryPrefix = "STS."

// Authenticate answers who signed a request: key, token, time, signature and
// nonce are checked in this order, so that a stranger cannot use up nonces. A
// write's nonce is kept in the store, for all servers and restarts.
func (s *Service) Authenticate(ctx context.Context, sig *sign.Signature, access rpc.Access, peer netip.Addr) (portolan.Principal, error) {
	p, err := s.authenticate(ctx, sig, access)
	if refused, ok := errors.AsType[*portolan.Error](err); ok && refused.Status < http.StatusInternalServerError {
		s.refusals.note(ctx, s.Log, peer, sig.AccessKeyID, s.Now(), refused.Code)
	}
	return p, err
}

func (s *Service) authenticate(ctx context.Context, sig *sign.Signature, access rpc.Access) (portolan.Principal, error) {
	var nobody portolan.Principal
	if sig.Anonymous() {
		return nobody, portolan.Missing("AccessKeyId")
	}
	if strings.HasPrefix(sig.AccessKeyID, temporaryPrefix) && sig.SecurityToken == "" {
		return nobody, errNoToken
	}
	bearer, err := s.bearer(ctx, sig.AccessKeyID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return nobody, errUnknownKey
	case err != nil:
		return nobody, err
	case !bearer.active:
		return nobody, errInactive
	case sig.SecurityToken != "":
		return nobody, errToken // no key of ours comes with one
	}
	at, err := time.Parse(timeFormat, sig.Timestamp)
	if err != nil || len(sig.Timestamp) != len(timeFormat) { // Parse takes fractions of a second too
		return nobody, errTimeFormat
	}
	if d := s.Now().Sub(at); d > Skew || d < -Skew {
		return nobody, errExpired
	}
	if err := sig.Verify(bearer.secret); err != nil {
		return nobody, err
	}
	if err := s.useNonce(ctx, sig, at, access); err != nil {
		return nobody, err
	}
	if bearer.suspended {
		return nobody, portolan.ErrSuspended
	}
	return bearer.principal, nil
}

func (s *Service) useNonce(ctx context.Context, sig *sign.Signature, at time.Time, access rpc.Access) error {
	if access != rpc.Write {
		if !s.nonces.use(sig.AccessKeyID, sig.Nonce, at.Unix()/60, s.Now().Add(-Skew).Unix()/60) {
			return errNonceUsed
		}
		return nil
	}
	err := s.DB.UseNonce(ctx, sig.AccessKeyID, hashNonce(sig.Nonce), s.Now().Add(nonceLife))
	if errors.Is(err, store.ErrConflict) {
		return errNonceUsed
	}
	if err != nil {
		return fmt.Errorf("keep the nonce: %w", err)
	}
	return nil
}

// Authorize answers nil if the caller may do the operation on all resources of
// the account, and else NoPermission with the reason. The account itself may
// do everything in it.
func (s *Service) Authorize(ctx context.Context, caller *rpc.Caller, operation *rpc.Spec) error {
	p := caller.Principal
	if p.Root() {
		return nil
	}
	bearer, err := s.bearer(ctx, p.AccessKeyID)
	switch {
	case errors.Is(err, store.ErrNotFound):
		return errUnknownKey // deleted since it was authenticated
	case err != nil:
		return fmt.Errorf("load the caller's policies: %w", err)
	}
	service, _, _ := strings.Cut(operation.Action, ":")
	account := strconv.FormatInt(p.AccountID, 10)
	req := policy.Request{Action: operation.Action, Resource: "acs:" + service + ":*:" + account + ":*"}
	req.Context.Set(policy.KeyCurrentTime, s.Now().UTC().Format(timeFormat))
	req.Context.Set(policy.KeySecureTransport, strconv.FormatBool(caller.Secure))
	req.Context.Set(policy.KeySourceIP, caller.Peer.String())
	req.Context.Set(policy.KeyPrincipalARN, "acs:ram::"+account+":user/"+p.UserName)
	d := policy.Decide(req, policy.Set{Level: policy.IdentityBased, Policies: bearer.policies})
	if d.Allowed() {
		return nil
	}
	return denied(p, operation.Action, d)
}

func denied(p portolan.Principal, action string, d policy.Decision) error {
	e := *portolan.ErrNoPermission
	e.Denied = &portolan.AccessDenied{
		PolicyType:               string(d.Level),
		AuthPrincipalOwnerID:     strconv.FormatInt(p.AccountID, 10),
		AuthPrincipalType:        "SubUser",
		AuthPrincipalDisplayName: strconv.FormatInt(p.UserID, 10),
		NoPermissionType:         string(d.Outcome),
		AuthAction:               action,
	}
	return &e
}
