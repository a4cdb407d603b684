package gateway

import (
	"errors"
	"net/http"
	"reflect"

	"portolan"
	"portolan/internal/rpc"
)

// The errors that the gateway itself decides, in the words of the vendor's
// gateway where it has some.
var (
	errMethod   = portolan.Refused("UnsupportedHTTPMethod", "This http method is not supported. Use GET or POST.")
	errTooLarge = portolan.Refused("RequestTooLarge", "The request body must be at most %d bytes.", maxBody)
	errBody     = portolan.Refused("InvalidParameter", "The request body could not be read to its end. It must arrive within %s.", bodyTimeout)
	errFormat   = portolan.Refused("InvalidParameter.Format", "Specified parameter format is not valid. Use JSON or XML.")
	errPath     = &portolan.Error{
		Code: "InvalidApi.NotFound", Status: http.StatusNotFound,
		Message: "Specified api is not found, please check your url and method.",
	}
	errInternal = &portolan.Error{
		Code: "InternalError", Status: http.StatusInternalServerError,
		Message: "The request processing has failed due to some unknown error, exception or failure.",
	}
)

// errorBody is the document of an error, but for RequestId. Clients need all
// of these to be strings, and AccessDeniedDetail to be an object or absent.
type errorBody struct {
	HostID             string `json:"HostId"`
	Code               string
	Message            string
	Recommend          string
	AccessDeniedDetail *portolan.AccessDenied
}

func errorPlan() *plan {
	t := reflect.TypeFor[errorBody]()
	return planOf("Error", t, rpc.FieldsOf(t))
}

// wireError answers the error that a client is shown. What has no wire form is
// internal: the client learns nothing but the request id.
func wireError(err error, endpoint *rpc.Endpoint) (e *portolan.Error, internal bool) {
	if e, ok := errors.AsType[*portolan.Error](err); ok && e.Code != "" {
		return e, false
	}
	if endpoint != nil && endpoint.Product != "Sas" {
		return errInternal, true
	}
	return portolan.ErrServer, true
}
