package connector

import (
	"errors"
	"fmt"
	"net/http"

	"portolan"
)

// MaxFailedRows is how many rows of a repository may fail; of a list with more
// nothing good can come any more.
const MaxFailedRows = 16

// Fatal reports whether an error ends the reading of a repository, rather than
// failing one row: all but a refusal of this one manifest (401 is about us) and
// content that cannot be used.
func Fatal(err error) bool {
	if status, ok := errors.AsType[*StatusError](err); ok {
		return status.Status == http.StatusUnauthorized
	}
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Class != portolan.ServerFailure
	}
	return true
}

// FatalOnly answers an error that is Fatal, nil for one that fails a row or is
// none.
func FatalOnly(err error) error {
	if err != nil && Fatal(err) {
		return err
	}
	return nil
}

// AboutTag says which tag the error of a row is about.
func AboutTag(tag string, err error) *Error {
	return &Error{Class: ClassOf(err), Message: fmt.Sprintf("Tag %q: %v", tag, err), Remedy: remedyOf(err), Err: err}
}

// TooManyFailed ends the reading of a repository of which more than
// MaxFailedRows rows failed. The last failure is no cause of it: a manifest that
// does not exist is no repository that does not.
func TooManyFailed(path string, last error) *Error {
	return Errorf(ClassOf(last), "More than %d tags of %s could not be read, the last because: %v", MaxFailedRows, path, last).
		WithRemedy("%s", remedyOf(last))
}

func remedyOf(err error) string {
	if e, ok := errors.AsType[*Error](err); ok {
		return e.Remedy
	}
	return ""
}
