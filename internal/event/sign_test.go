package event

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"
)

// The example of the specification.
func TestSign(t *testing.T) {
	t.Parallel()
	const secret = "whsec_plJ3nmyCDGBKInavdOK15jsl"
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(secret, secretPrefix))
	if err != nil {
		t.Fatal(err)
	}
	if secretText(key) != secret {
		t.Errorf("the secret is written as %s", secretText(key))
	}
	h := http.Header{}
	sign(h, key, "msg_loFOjxBNrRLzqYUf", time.Unix(1731705121, 0), []byte(`{"event_type":"ping","data":{"success":true}}`))
	for name, want := range map[string]string{
		"webhook-id": "msg_loFOjxBNrRLzqYUf", "webhook-timestamp": "1731705121",
		"webhook-signature": "v1,rAvfW3dJ/X/qxhsaXPOyyCGmRKsaKWcsNccKXlIktD0=",
	} {
		if got := h.Get(name); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}
