package intake

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"portolan"
	"portolan/internal/report"
	"portolan/internal/rpc"
)

// ReportsPath is where reports are received: the registry's id follows it.
const ReportsPath = "/reports/"

const (
	maxReport     = 64 << 10
	reportTimeout = 30 * time.Second
)

// What a reporter did wrong before its report was looked at.
var (
	errNoToken  = &portolan.Error{Code: "MissingToken", Status: http.StatusUnauthorized, Message: "The token of the registry is mandatory, as in Authorization: Bearer TOKEN."}
	errType     = &portolan.Error{Code: "UnsupportedMediaType", Status: http.StatusUnsupportedMediaType, Message: "Content-Type must be application/json or application/x-www-form-urlencoded."}
	errTooLarge = portolan.Refused("RequestTooLarge", "A report must be at most %d bytes.", maxReport)
	errBody     = portolan.Refused("InvalidParameter", "The report could not be read to its end.")
	errQuery    = portolan.Refused("InvalidParameter", "The parameters of a report go into its body, not into its URL.")
)

// ReportConfig is what a Reports is made of.
type ReportConfig struct {
	Gate    *Gate
	Service *report.Service
	// Count is told the error code of each answer, OK for a report that is kept.
	Count func(code string)
}

// Reports receives reports of builds: POST /reports/<registry id> with the
// registry's token, and the parameters of CreateJenkinsImageScanTask but Token
// as a JSON object or a form.
type Reports struct {
	ReportConfig

	decode func(rpc.Values) (*report.Fields, error)
}

// NewReports makes a receiver that hands reports to a service.
func NewReports(c ReportConfig) *Reports {
	return &Reports{c, rpc.Decoder[report.Fields]("report")}
}

// reported is the document of an answer.
type reported struct {
	RequestID string `json:"RequestId"`
	Data      *report.Receipt
}

// ServeHTTP takes one report and answers it when it is in the store.
func (h *Reports) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := h.Gate.begin(w, r)
	ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), reportTimeout)
	defer cancel()
	// 0 is the id of no registry: what is no number is answered as unknown.
	id, _ := strconv.ParseInt(strings.TrimPrefix(r.URL.Path, ReportsPath), 10, 64)
	code, status := "OK", http.StatusOK
	if receipt, err := h.take(ctx, x, id); err == nil {
		x.send(status, reported{x.id, receipt})
	} else {
		code, status = h.Gate.fail(x, err)
	}
	h.Count(code)
	h.Gate.record(x, "report", id, status, slog.String("code", code))
}

// take is a report from the request to its receipt. Who may not report learns
// nothing of what a report must say.
func (h *Reports) take(ctx context.Context, x *exchange, id int64) (*report.Receipt, error) {
	if err := x.posted(); err != nil {
		return nil, err
	}
	token, ok := bearer(x.r)
	if !ok {
		x.w.Header().Set("WWW-Authenticate", `Bearer realm="reports"`)
		return nil, errNoToken
	}
	var registry *portolan.Registry
	err := h.Gate.admit(x, id, func() (err error) {
		registry, err = h.Service.Open(ctx, id, token, x.client)
		return err
	})
	if err != nil {
		return nil, err
	}
	values, err := valuesOf(x.w, x.r)
	if err != nil {
		return nil, err
	}
	fields, err := h.decode(values)
	if err != nil {
		return nil, err
	}
	return h.Service.Submit(ctx, registry, fields)
}

// bearer answers the token of a request, and whether it has one.
func bearer(r *http.Request) (string, bool) {
	scheme, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	return token, strings.EqualFold(scheme, "Bearer") && token != ""
}

// valuesOf reads the parameters of a report.
func valuesOf(w http.ResponseWriter, r *http.Request) (rpc.Values, error) {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	if err != nil || kind != "application/json" && kind != "application/x-www-form-urlencoded" {
		return nil, errType
	}
	if r.URL.RawQuery != "" {
		return nil, errQuery
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxReport))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return nil, errTooLarge
	}
	if err != nil {
		return nil, errBody
	}
	if kind == "application/json" {
		return rpc.ValuesFromJSON(body)
	}
	return valuesFromForm(string(body))
}

func valuesFromForm(body string) (rpc.Values, error) {
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, portolan.Invalid("Body", "must be a form: name=value, joined by &, both escaped as in URLs")
	}
	values := rpc.Values{}
	for name, list := range form {
		if len(list) > 1 {
			return nil, portolan.Invalid(name, "must not be given twice")
		}
		values[name] = list[0]
	}
	return values, nil
}
