package connector

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"

	"portolan"
)

// StatusError is an answer that is no success. It is the cause of an *Error
// and stays below the contract: sources look at it, the engine does not.
// errors.Is(err, ErrNotExist) holds for 404.
type StatusError struct {
	Status int
	// Codes of the answer's error list, as NAME_UNKNOWN; at most 10.
	Codes []string
}

func (s *StatusError) Error() string {
	return strings.TrimSpace(fmt.Sprintf("status %d %s", s.Status, strings.Join(s.Codes, " ")))
}

// Is makes a 404 an ErrNotExist.
func (s *StatusError) Is(target error) bool {
	return target == ErrNotExist && s.Status == http.StatusNotFound
}

// Has reports whether the answer's error list holds the code.
func (s *StatusError) Has(code string) bool { return slices.Contains(s.Codes, code) }

const maxErrorBody = 64 << 10

// refusal reads an answer that is no success and closes it.
func refusal(resp *http.Response) error {
	body, _ := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	_ = resp.Body.Close()
	host, status := resp.Request.URL.Host, &StatusError{Status: resp.StatusCode, Codes: errorCodes(body)}
	switch {
	case plainToTLS(resp, body):
		return because(status, portolan.TLSFailure, "TLS: %s speaks HTTPS at this port, but was asked by HTTP.", host).
			WithRemedy("Choose protocol HTTPS.")
	case resp.StatusCode == http.StatusUnauthorized && elsewhere(resp):
		asked, _ := redirected(resp)
		return redirects(nil, asked.URL.Host)
	case resp.StatusCode == http.StatusUnauthorized:
		return badCredentials(status, host)
	case resp.StatusCode == http.StatusForbidden || status.Has("DENIED"):
		return because(status, portolan.Forbidden, "%s refuses this to the account in use.", host).
			WithRemedy("Give the account the right to list and read.")
	case resp.StatusCode == http.StatusNotFound:
		return because(status, portolan.ServerFailure, "%s does not know what was asked for.", host)
	case resp.StatusCode/100 == 3:
		return redirects(status, host)
	}
	return because(status, portolan.ServerFailure, "%s failed (status %d).", host, resp.StatusCode)
}

// redirects is the error of a redirect that a credential must not follow.
func redirects(cause error, host string) *Error {
	return because(cause, portolan.ServerFailure, "%s redirects to where credentials must not go.", host).
		WithRemedy("Enter the address that it redirects to.")
}

// because makes an Error with a cause that is not part of the text.
func because(cause error, class portolan.ErrorClass, format string, args ...any) *Error {
	return &Error{Class: class, Message: fmt.Sprintf(format, args...), Err: cause}
}

// errorCodes reads the codes of {"errors":[{"code":...}]}, the form of the
// distribution specification, of Harbor and of Quay.
func errorCodes(body []byte) []string {
	var answer struct {
		Errors []struct {
			Code string `json:"code"`
		} `json:"errors"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return nil
	}
	var codes []string
	for _, e := range answer.Errors[:min(len(answer.Errors), 10)] {
		if isCode(e.Code) {
			codes = append(codes, e.Code)
		}
	}
	return codes
}

// isCode reports whether s looks like a code; anything else could be a
// secret that the registry echoes.
func isCode(s string) bool {
	for _, c := range s {
		if c != '_' && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return s != "" && len(s) <= 40
}

// plainToTLS knows what servers answer to HTTP on an HTTPS port.
func plainToTLS(resp *http.Response, body []byte) bool {
	text := strings.ToLower(string(body))
	return resp.StatusCode == http.StatusBadRequest && resp.Request.URL.Scheme == "http" &&
		strings.Contains(text, "http request") && strings.Contains(text, "https")
}

// Unexpected says of an answer that no source has a word for of its own what
// was being done when it came.
func Unexpected(host string, s *StatusError, doing string) *Error {
	switch {
	case s.Status == http.StatusNotFound:
		return Errorf(portolan.ServerFailure, "%s answered 404 when %s: it does not exist there.", host, doing)
	case s.Status/100 == 3:
		return Errorf(portolan.ServerFailure, "%s redirects to where credentials must not go.", host).
			WithRemedy("Enter the address that it redirects to.")
	}
	return Errorf(portolan.ServerFailure, "%s failed (%s) when %s.", host, s.Error(), doing)
}
