package tunnel

import (
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/hashicorp/yamux"
)

// Handlers are the hub's two, by their paths.
func (h *Hub) Handlers() map[string]http.Handler {
	return map[string]http.Handler{ConnectPath: http.HandlerFunc(h.connect), EnrollPath: http.HandlerFunc(h.enroll)}
}

// enrolment is the body of a request to EnrollPath.
type enrolment struct {
	Token  string `json:"token"`
	Secret string `json:"secret"`
	VpcID  string `json:"vpcId"`
}

func (h *Hub) enroll(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		h.refuse(w, r, http.StatusMethodNotAllowed, &RefusalError{CodeProtocol, "Enrolments are sent with POST."})
		return
	}
	var e enrolment
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, maxBody)).Decode(&e); err != nil {
		h.refuse(w, r, http.StatusBadRequest, &RefusalError{CodeProtocol, "The enrolment cannot be read: this server wants an agent of its own version."})
		return
	}
	if err := h.Exchange(context.WithoutCancel(r.Context()), e.Token, e.Secret, e.VpcID); err != nil {
		h.fail(w, r, err)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// connect makes the connection of a request a session, and keeps it.
func (h *Hub) connect(w http.ResponseWriter, r *http.Request) {
	if !strings.EqualFold(r.Header.Get("Upgrade"), protocol) {
		w.Header().Set("Upgrade", protocol)
		h.refuse(w, r, http.StatusUpgradeRequired, &RefusalError{CodeProtocol, "This server speaks " + protocol + " with agents: use an agent of the server's version."})
		return
	}
	secret, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	ctx := context.WithoutCancel(r.Context())
	who, err := h.Authenticate(ctx, secret, r.Header.Get(headerVPC))
	if err != nil {
		h.fail(w, r, err)
		return
	}
	if h.full() {
		http.Error(w, "no other agent can be taken now", http.StatusServiceUnavailable)
		return
	}
	line, err := upgrade(w)
	if err != nil {
		h.Log.InfoContext(ctx, "agent could not be connected", "agent", who.ID, "error", err)
		return
	}
	mux, err := yamux.Client(&frames{ReadWriteCloser: line}, muxConfig(h.Log))
	if err != nil {
		_ = line.Close()
		h.Log.ErrorContext(ctx, "agent could not be connected", "agent", who.ID, "error", err)
		return
	}
	s := &session{mux: mux, Session: Session{Agent: who, Address: h.peer(r), Version: shorten(versionOf(r.UserAgent())), Since: h.Now()}}
	h.run(ctx, s)
}

// upgrade takes the connection over from net/http.
func upgrade(w http.ResponseWriter) (net.Conn, error) {
	line, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		return nil, err
	}
	err = line.SetDeadline(time.Now().Add(handshakeTimeout))
	if err == nil && buffered.Reader.Buffered() > 0 {
		err = errors.New("it spoke before it was answered")
	}
	if err == nil {
		_, err = line.Write([]byte("HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol + "\r\n\r\n"))
	}
	if err == nil {
		err = line.SetDeadline(time.Time{})
	}
	if err != nil {
		return nil, errors.Join(err, line.Close())
	}
	return line, nil
}

// versionOf is the version in the User-Agent of an agent.
func versionOf(agent string) string {
	name, _, _ := strings.Cut(agent, " ")
	_, version, _ := strings.Cut(name, "/")
	return version
}

// fail answers an error of Authenticate or Exchange.
func (h *Hub) fail(w http.ResponseWriter, r *http.Request, err error) {
	if refusal, ok := errors.AsType[*RefusalError](err); ok {
		h.refuse(w, r, http.StatusForbidden, refusal)
		return
	}
	h.Log.ErrorContext(r.Context(), "agent could not be let in", "peer", h.peer(r), "error", err)
	http.Error(w, "the server cannot look the agent up; its log has the reason", http.StatusInternalServerError)
}

func (h *Hub) refuse(w http.ResponseWriter, r *http.Request, status int, refusal *RefusalError) {
	h.Log.InfoContext(r.Context(), "agent refused", "peer", h.peer(r), "code", refusal.Code)
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(refusal) // a client that is gone is no failure
}

func (h *Hub) peer(r *http.Request) string {
	if h.Peer != nil {
		return h.Peer(r)
	}
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return r.RemoteAddr
	}
	return host
}
