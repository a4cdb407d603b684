package portolan

import (
	"errors"
	"fmt"
	"net/http"
)

// Error is an error whose wire form is decided: the code, the HTTP status and
// the message that a client sees. Every other error is internal: its text is
// logged and never shown.
type Error struct {
	Code    string
	Status  int
	Message string
	// Denied is set for refusals by policy.
	Denied *AccessDenied
	// RetryAfter is sent as x-acs-retry-after, in milliseconds, when positive.
	RetryAfter int64
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// Is reports whether target is an Error of the same code, so that
// errors.Is(err, ErrRegistryNotExist) works on wrapped values.
func (e *Error) Is(target error) bool {
	var t *Error
	return errors.As(target, &t) && t.Code == e.Code
}

// AccessDenied says which kind of policy refused a call, in the words of the
// wire's AccessDeniedDetail. All values are strings.
type AccessDenied struct {
	PolicyType               string `json:"PolicyType"`
	AuthPrincipalOwnerID     string `json:"AuthPrincipalOwnerId"`
	AuthPrincipalType        string `json:"AuthPrincipalType"`
	AuthPrincipalDisplayName string `json:"AuthPrincipalDisplayName"`
	NoPermissionType         string `json:"NoPermissionType"`
	AuthAction               string `json:"AuthAction"`
}

// Errors of products, as semantics of the Sas operations name them.
var (
	ErrRegistryNotExist = &Error{Code: "RegistryNotExist", Status: http.StatusBadRequest, Message: "The specified registry does not exist."}
	ErrImageNotExist    = &Error{Code: "ImageNotExist", Status: http.StatusBadRequest, Message: "The specified image does not exist."}
	ErrSyncNotExist     = &Error{Code: "SyncNotExist", Status: http.StatusBadRequest, Message: "The specified sync does not exist."}
	ErrNoPermission     = &Error{Code: "NoPermission", Status: http.StatusForbidden, Message: "caller has no permission"}
	ErrSuspended        = &Error{Code: "NoPermission", Status: http.StatusBadRequest, Message: "no permission"}
	// ErrNoRoom is for a full disk: nothing of the call was saved.
	ErrNoRoom = &Error{Code: "ServiceUnavailable", Status: http.StatusServiceUnavailable, Message: "The server has no room left on the disk of its database; nothing was saved. Free some, then call again."}
	ErrServer = &Error{Code: "ServerError", Status: http.StatusInternalServerError, Message: "ServerError"}
)

// Missing is the error for a mandatory parameter that is absent or empty.
func Missing(name string) *Error {
	return &Error{Code: "Missing" + name, Status: http.StatusBadRequest, Message: name + " is mandatory for this action."}
}

// Invalid is the error for a parameter whose value cannot be used. The text
// names the parameter first, then what is wrong, as in
// "PageSize must be an integer from 1 to 1000".
func Invalid(name, format string, args ...any) *Error {
	return &Error{Code: "InvalidParameter", Status: http.StatusBadRequest, Message: name + " " + fmt.Sprintf(format, args...)}
}

// Refused is a 400 with a code of its own.
func Refused(code, format string, args ...any) *Error {
	return &Error{Code: code, Status: http.StatusBadRequest, Message: fmt.Sprintf(format, args...)}
}
