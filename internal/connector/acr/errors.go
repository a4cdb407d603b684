package acr

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"portolan"
	"portolan/internal/connector"
)

const (
	maxRefusal = 64 << 10
	maxCode    = 64
	// maxSkew is how far the API lets clocks differ.
	maxSkew = 15 * time.Minute
	// unknownWait is for a wait that the API asks for without saying how long.
	unknownWait = time.Second
)

// Codes of the API. Those in capitals are the product's own (read in the
// Terraform provider), the others those of the gateway in front.
const (
	codeNoRepository = "REPO_NOT_EXIST"
	codeNoNamespace  = "NAMESPACE_NOT_EXIST"
	codeNoInstance   = "INSTANCE_NOT_EXIST"
	codeNotRunning   = "INSTANCE_STATUS_NOT_SUPPORT"
)

// refusal is the cause of an error that the API answered. It stays below the
// contract. errors.Is(err, ErrNotExist) holds for a repository that is not
// there, whatever the status.
type refusal struct {
	status int
	code   string
}

func (r *refusal) Error() string {
	return strings.TrimSpace(fmt.Sprintf("status %d %s", r.status, r.code))
}

func (r *refusal) Is(target error) bool {
	return target == connector.ErrNotExist && r.code == codeNoRepository
}

// readRefusal reads the code and the request id of an error, which are Code
// and RequestId or code and requestId.
func readRefusal(body []byte) (code, requestID string) {
	var v struct {
		Code      string `json:"Code"`
		RequestID string `json:"RequestId"`
	}
	if json.Unmarshal(body, &v) != nil {
		return "", ""
	}
	if isCode(v.Code) {
		code = v.Code
	}
	return code, cleanID(v.RequestID)
}

// isCode reports whether s looks like a code, InvalidAccessKeyId.NotFound or
// REPO_NOT_EXIST; anything else could be a secret that is echoed.
func isCode(s string) bool {
	for _, c := range s {
		if c != '.' && c != '_' && (c < '0' || c > '9') && (c < 'A' || c > 'Z') && (c < 'a' || c > 'z') {
			return false
		}
	}
	return s != "" && len(s) <= maxCode && s[0] >= 'A' && s[0] <= 'Z'
}

// cleanID lets pass what looks like an id, "" for anything else.
func cleanID(id string) string {
	for _, c := range id {
		if c != '-' && (c < '0' || c > '9') && (c < 'A' || c > 'F') {
			return ""
		}
	}
	return id[:min(len(id), maxCode)]
}

// explain says what a failure of a call means, and adds the request id, by
// which the vendor's support finds it.
func (a *api) explain(err error, c call, seen *seen) error {
	e, ok := errors.AsType[*connector.Error](err)
	if !ok {
		return err
	}
	status, answered := errors.AsType[*connector.StatusError](err)
	if !answered || e.Class == portolan.TLSFailure {
		return err
	}
	if isThrottling(seen.code) { // with status 200; the transport knows the others
		wait := max(askedWait(seen.header), unknownWait)
		if a.slow != nil {
			a.slow(wait)
		}
		return &connector.ThrottledError{Wait: wait}
	}
	said := a.meaning(c, seen, status.Status)
	said.Err = &refusal{status: status.Status, code: seen.code}
	if seen.requestID != "" {
		said.Message = strings.TrimSuffix(said.Message, ".") + " (request id " + seen.requestID + ")."
	}
	return said
}

func (a *api) meaning(c call, seen *seen, status int) *connector.Error {
	code := seen.code
	switch {
	case isBadKey(code):
		return connector.Errorf(portolan.BadCredentials, "The access key %s is not accepted by %s (%s).", a.key.ID, a.host, code).
			WithRemedy("Check in RAM that the access key exists and is enabled, and enter its AccessKeySecret as the password again.")
	case isClock(code):
		return connector.Errorf(portolan.ClockSkew, "%s refuses the time of the request (%s): %s.", a.host, code, a.skew(seen.date)).
			WithRemedy("Set the clock of Portolan's server, at best by NTP; %s of difference are allowed.", maxSkew)
	case code == codeNoRepository:
		return connector.Errorf(portolan.ServerFailure, "%s does not know the repository when %s.", a.host, c.doing)
	case code == codeNoNamespace:
		return connector.Errorf(portolan.CannotEnumerate, "%s does not know the namespace when %s.", a.host, c.doing).
			WithRemedy("Correct the namespaces or repositories of the registry, or create the namespace.")
	case code == codeNoInstance:
		return connector.Errorf(portolan.Forbidden, "The account of the access key %s does not have the instance of this registry (%s).", a.key.ID, code).
			WithRemedy("Use an access key of the account that owns the instance.")
	case code == codeNotRunning:
		return connector.Errorf(portolan.ServerFailure, "The instance of this registry is not running (%s).", code).
			WithRemedy("Look in the console of Container Registry whether it has been released or is overdue.")
	case isUnsupported(code):
		return connector.Errorf(portolan.CannotEnumerate, "%s does not offer %s to this account (%s).", a.host, c.action, code).
			WithRemedy("Name the repositories in ExtraParam (repositories) and enter the login of the registry side instead of an access key.")
	case isDenial(code) || status == http.StatusForbidden:
		return connector.Errorf(portolan.Forbidden, "The access key %s is accepted, but %s needs %s.", a.key.ID, c.doing, c.needs).
			WithRemedy("Grant its RAM user %s, or the system policy AliyunContainerRegistryReadOnlyAccess.", c.needs)
	case status == http.StatusUnauthorized:
		return connector.Errorf(portolan.BadCredentials, "The access key %s is not accepted by %s.", a.key.ID, a.host).
			WithRemedy("Enter the id and the secret of an access key again.")
	case status/100 == 3:
		return connector.Errorf(portolan.ServerFailure, "%s redirects to where credentials must not go.", a.host)
	}
	return connector.Errorf(portolan.ServerFailure, "%s failed (%s) when %s.", a.host, (&refusal{status, code}).Error(), c.doing)
}

// skew says how far the clocks differ, by the answer's own date.
func (a *api) skew(date time.Time) string {
	if date.IsZero() {
		return "the clock of this server differs from that of Alibaba Cloud"
	}
	ours := a.now().Sub(date).Round(time.Second)
	if ours < 0 {
		return fmt.Sprintf("the clock of this server is %s behind", -ours)
	}
	return fmt.Sprintf("the clock of this server is %s ahead", ours)
}

func isBadKey(code string) bool {
	return strings.HasPrefix(code, "InvalidAccessKey") || strings.HasPrefix(code, "InvalidSecurityToken") ||
		code == "SignatureDoesNotMatch" || code == "IncompleteSignature" || code == "Forbidden.AccessKeyDisabled"
}

func isClock(code string) bool {
	return strings.HasPrefix(code, "InvalidTimeStamp") || code == "IllegalTimestamp"
}

// isDenial knows the refusals of RAM, which come after the signature was
// accepted: they prove who we are.
func isDenial(code string) bool {
	switch code {
	case "NoPermission", "NotAuthorized", "USER_NOT_AUTHORIZED", "Forbidden":
		return true
	}
	return strings.HasPrefix(code, "Forbidden.") && !isBadKey(code)
}

func isUnsupported(code string) bool {
	switch code {
	case "InvalidAction.NotFound", "InvalidApi.NotFound", "API_NOT_SUPPORTED", "UnsupportedOperation":
		return true
	}
	return false
}

// identified reports whether a failed call proves all the same who we are.
func identified(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && isDenial(r.code)
}

func isNoNamespace(err error) bool {
	r, ok := errors.AsType[*refusal](err)
	return ok && r.code == codeNoNamespace
}
