package policy

import (
	"strings"
	"testing"
)

func parsed(t testing.TB, document string) Named {
	t.Helper()
	p, err := Parse(document)
	if err != nil {
		t.Fatal(err)
	}
	return Named{Name: "test", Origin: "Custom", Policy: p}
}

func TestNothingIsAllowedWithoutSets(t *testing.T) {
	t.Parallel()
	want := Decision{Outcome: ImplicitDeny, Level: IdentityBased, Statement: -1}
	if got := Decide(Request{Action: "a:b", Resource: "acs:a:*:1:*"}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
	if (Decision{}).Allowed() {
		t.Error("the zero decision allows")
	}
}

func TestLongResourceIsNotCompared(t *testing.T) {
	t.Parallel()
	const start = "acs:ram:*:1:user/"
	set := Set{Policies: []Named{parsed(t, withStatement(`{"Effect":"Allow","Action":"*","Resource":"acs:ram:*:*:*"}`))}}
	for length, want := range map[int]Outcome{maxValue: Allow, maxValue + 1: ImplicitDeny} {
		req := Request{Action: "ram:GetUser", Resource: start + strings.Repeat("x", length-len(start))}
		if got := Decide(req, set); got.Outcome != want {
			t.Errorf("%d bytes: %s, want %s", length, got.Outcome, want)
		}
	}
}

// The hot path: three policies of a usual user, the last of which allows.
func BenchmarkDecide(b *testing.B) {
	readOnly, _ := LookupSystem("AliyunYundunSASReadOnlyAccess")
	set := Set{Level: IdentityBased, Policies: []Named{
		parsed(b, withStatement(`{"Effect":"Deny","Action":"*","Resource":"*","Condition":{"NotIpAddress":{"acs:SourceIp":["192.0.2.0/24","10.0.0.0/8"]}}}`)),
		parsed(b, withStatement(`{"Effect":"Allow","Action":"ram:*","Resource":"acs:ram:*:*:*"}`)),
		parsed(b, readOnly.Document),
	}}
	req := Request{Action: "yundun-sas:PageImageRegistry", Resource: "acs:yundun-sas:*:1234567890123456:*"}
	req.Context.Set(KeySourceIP, "10.1.2.3")
	for b.Loop() {
		if !Decide(req, set).Allowed() {
			b.Fatal("denied")
		}
	}
}
