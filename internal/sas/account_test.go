package sas

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"portolan"
	"portolan/internal/event"
	"portolan/internal/store/storetest"
)

// withEvents gives the rig's operations webhooks, which reach nobody.
func (r *rig) withEvents() {
	r.service.Events = event.New(event.Config{
		DB: r.db, Now: r.clock, Log: slog.New(slog.DiscardHandler), CheckAddress: refusePrivate,
		Seal:   func(_ string, secret []byte) []byte { return secret },
		Unseal: func(_ string, sealed []byte) ([]byte, error) { return sealed, nil },
		Client: func(*url.URL) (*http.Client, error) { return nil, errors.New("another account's webhook is called") },
	})
}

// What is another account's is unknown: every operation that takes an id answers
// as it does for one that nobody has.
func TestOtherAccountsAreUnknown(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	r.withAgents()
	r.withEvents()
	r.service.Registries.Hooks = hasher(t, "webhook")
	pull := r.stock()
	ci, token := r.addCI()
	task := must[createJenkinsImageScanTaskResponse](r, "CreateJenkinsImageScanTask", "Token", token, "RepoName", "app", "Tag", "1").Data.TaskID
	hook := must[createEventWebhookResponse](r, "CreateEventWebhook", "Url", "https://chat.example.com/h/x", "Events.1", "image.added").Data.WebhookID
	agent := must[enrollAgentResponse](r, "EnrollAgent", "VpcId", "vpc-1").Data.AgentID
	r.wait(48 * time.Hour)
	preview := must[describeImageRegistryRetentionResponse](r, "DescribeImageRegistryRetention", "RegistryId", ci, "PersistenceDay", "1").Data
	if preview.TotalCount != 1 {
		t.Fatalf("preview %+v", preview)
	}
	r.account = accountB
	const nobody = "999999"
	for _, c := range []struct{ operation, param, id, none string }{
		{"PauseImageRegistry", "RegistryId", pull, nobody},
		{"ResumeImageRegistry", "RegistryId", pull, nobody},
		{"RefreshRegistryWebhook", "RegistryId", pull, nobody},
		{"RefreshRegistryToken", "RegistryId", ci, nobody},
		{"UpdateJenkinsImageRegistryName RegistryName=x", "RegistryId", ci, nobody},
		{"UpdateJenkinsImageRegistryPersistenceDay PersistenceDay=1", "RegistryId", ci, nobody},
		{"CreateJenkinsImageScanTask RepoName=app Tag=1", "Token", token, "c3de8326-273e-41fc-a0e3-d012435c0000"},
		{"DescribeImageScanTask", "TaskId", task, "fc98d58eb56f699d49bf7ebbd6d7a0b1"},
		{"DescribeImageChanges", "RegistryId", ci, nobody},
		{"DescribeImageRegistryRetention", "RegistryId", ci, nobody},
		{"RunImageRegistryRetention PreviewId=" + preview.PreviewID, "RegistryId", ci, nobody},
		{"CreateEventWebhook Url=https://chat.example.com/h Events.1=image.added", "RegistryId", ci, nobody},
		{"DeleteEventWebhook", "WebhookId", hook, "whk-k3b5x7q2m4n6p8r9"},
		{"TestEventWebhook", "WebhookId", hook, "whk-k3b5x7q2m4n6p8r9"},
		{"RevokeAgent", "AgentId", agent, "agt-0123456789abcdef"},
		{"RestoreImageRegistry", "RegistryId", pull, nobody},
	} {
		operation, rest, _ := strings.Cut(c.operation, " ")
		answer := func(id string) string {
			params := []string{c.param, id}
			for pair := range strings.FieldsSeq(rest) {
				name, value, _ := strings.Cut(pair, "=")
				params = append(params, name, value)
			}
			_, err := r.call(operation, params...)
			e, ok := errors.AsType[*portolan.Error](err)
			if !ok {
				t.Errorf("%s %q: %v", operation, params, err)
				return ""
			}
			return fmt.Sprint(e.Status, e.Code, e.Message)
		}
		if got, want := answer(c.id), answer(c.none); got != want {
			t.Errorf("%s: another account's answers %s, nobody's %s", operation, got, want)
		}
	}
	for _, list := range []string{"DescribeEventWebhooks", "DescribeAgents", "DescribeImageChanges", "DescribeDeletedImageRegistries"} {
		if resp, err := r.call(list); err != nil || !strings.Contains(fmt.Sprintf("%+v", resp), "TotalCount:0") {
			t.Errorf("%s: %+v, %v", list, resp, err)
		}
	}
}

// A preview's id that nobody was answered removes nothing.
func TestRunImageRegistryRetentionForged(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	ci, token := r.addCI()
	must[createJenkinsImageScanTaskResponse](r, "CreateJenkinsImageScanTask", "Token", token, "RepoName", "app", "Tag", "1")
	id, err := strconv.ParseInt(ci, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	entry, err := r.db.Registry(t.Context(), accountA, id)
	if err != nil {
		t.Fatal(err)
	}
	r.wait(23 * time.Hour)
	_, p, err := r.db.PreviewRetention(t.Context(), entry, r.clock(), 1, 10)
	if err != nil || p.Total() != 1 {
		t.Fatalf("%+v, %v", p, err)
	}
	refuse(r, "InvalidParameter", "PreviewId", "RunImageRegistryRetention", "RegistryId", ci, "PreviewId", previewID(p))
}

// Lists show no secret of a webhook.
func TestDescribeEventWebhooksMasks(t *testing.T) {
	t.Parallel()
	r := newRig(t, storetest.URL(t, storetest.SQLite))
	r.withEvents()
	made := must[createEventWebhookResponse](r, "CreateEventWebhook", "Url", "https://chat.example.com/hooks/SECRETPATH?key=SECRETQUERY", "Events.1", "image.added").Data
	list := must[describeEventWebhooksResponse](r, "DescribeEventWebhooks").List
	if len(list) != 1 || list[0].URL != "https://chat.example.com/hooks/******?******" || strings.Contains(fmt.Sprintf("%+v", list), made.Secret) {
		t.Errorf("listed as %+v", list)
	}
	refuse(r, "AddressForbidden", "10.0.0.1", "CreateEventWebhook", "Url", "http://10.0.0.1/x", "Events.1", "image.added")
}
