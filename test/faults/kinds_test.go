package faults

import (
	"net/http"

	"portolan"
)

// fault is a way in which a request fails, and what may come of it.
type fault struct {
	name string
	do   func(o *struck, w http.ResponseWriter, r *http.Request)
	// mends tells that one more try is enough: hit once, the reading is good.
	mends bool
	// waits tells that the registry asks to wait, which never fails a reading.
	waits bool
	// codes are what a reading that is not good may say.
	codes []portolan.ErrorClass
	// every is set for the kinds of which the short set tries every request.
	every bool
	// only limits it to origins of the name.
	only string
	// gone is set if a repository goes in the middle.
	gone bool
}

// Codes by what was seen. A code of the whole reading is that of its first
// failure when nothing could be read, and Partial when something could.
var (
	refused = []portolan.ErrorClass{portolan.Partial, portolan.BadCredentials, portolan.CredentialsExpired, portolan.Forbidden, portolan.CannotEnumerate}
	denied  = []portolan.ErrorClass{portolan.Partial, portolan.Forbidden, portolan.CannotEnumerate}
	absent  = []portolan.ErrorClass{portolan.Partial, portolan.ServerFailure, portolan.NotThisProduct, portolan.CannotEnumerate}
	broken  = []portolan.ErrorClass{portolan.Partial, portolan.ServerFailure}
	cut     = []portolan.ErrorClass{portolan.Partial, portolan.ConnectFailure}
	odd     = []portolan.ErrorClass{portolan.Partial, portolan.ServerFailure, portolan.NotThisProduct}
	public  = append([]portolan.ErrorClass{portolan.VanishGuard}, refused...)
)

func faults() []fault {
	return []fault{
		{name: "401", do: status(http.StatusUnauthorized), codes: refused, every: true},
		{name: "403", do: status(http.StatusForbidden), codes: denied},
		{name: "404", do: status(http.StatusNotFound), codes: absent, every: true},
		{name: "429", do: status(http.StatusTooManyRequests), waits: true, mends: true},
		{name: "429 Retry-After", do: throttled, waits: true, mends: true},
		{name: "500", do: status(http.StatusInternalServerError), codes: broken, mends: true},
		{name: "502 empty", do: emptyBody, codes: broken, mends: true},
		{name: "reset", do: reset, codes: cut, mends: true},
		{name: "hang", do: hang, codes: broken, mends: true},
		{name: "truncated JSON", do: half, codes: odd, every: true},
		{name: "cut body", do: cutBody, codes: append([]portolan.ErrorClass{portolan.ConnectFailure}, odd...)},
		{name: "HTML", do: html, codes: odd},
		{name: "other content type", do: otherType, codes: odd},
		{name: "circular Link", do: link(""), codes: broken},
		{name: "Link elsewhere", do: link("http://" + foreign), codes: broken},
		{name: "redirect elsewhere", do: redirect(foreign), codes: odd},
		{name: "redirect to a thief", do: redirect(thief), codes: odd, every: true},
		{name: "total falls", do: total(-1), codes: broken},
		{name: "total grows", do: total(+1), codes: broken},
		{name: "public only", do: anonymous, codes: public, only: "harbor"},
		{name: "locked", do: lock, codes: public, only: "harbor user"},
		{name: "vanishes", do: vanish, codes: odd, gone: true},
	}
}

func status(code int) func(*struck, http.ResponseWriter, *http.Request) {
	return func(_ *struck, w http.ResponseWriter, r *http.Request) {
		respond(w, r, code, "application/json", errorBody(r))
	}
}

func throttled(_ *struck, w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "90")
	respond(w, r, http.StatusTooManyRequests, "application/json", errorBody(r))
}

func emptyBody(_ *struck, w http.ResponseWriter, _ *http.Request) {
	w.WriteHeader(http.StatusBadGateway)
}

func reset(_ *struck, w http.ResponseWriter, _ *http.Request) {
	if conn, _, err := http.NewResponseController(w).Hijack(); err == nil {
		_ = conn.Close()
	}
}

func hang(_ *struck, _ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

// half is an answer that ends in the middle and looks whole.
func half(o *struck, w http.ResponseWriter, r *http.Request) {
	bend(o, w, r, func(_ http.Header, body []byte) []byte { return body[:len(body)/2] })
}

// cutBody is a connection that ends in the middle of an answer.
func cutBody(o *struck, w http.ResponseWriter, r *http.Request) {
	bend(o, w, r, func(_ http.Header, body []byte) []byte { return body[:len(body)/2] })
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler) //nolint:forbidigo // how a handler cuts its connection
}

func html(_ *struck, w http.ResponseWriter, r *http.Request) {
	respond(w, r, http.StatusOK, "text/html; charset=utf-8", "<html><body>Log in, "+password+"</body></html>")
}

func otherType(o *struck, w http.ResponseWriter, r *http.Request) {
	bend(o, w, r, func(h http.Header, body []byte) []byte {
		h.Set("Content-Type", "application/octet-stream")
		return body
	})
}

// link continues a list at its own address, on a host.
func link(at string) func(*struck, http.ResponseWriter, *http.Request) {
	return func(o *struck, w http.ResponseWriter, r *http.Request) {
		bend(o, w, r, func(h http.Header, body []byte) []byte {
			if isList(h, body) {
				h.Set("Link", "<"+at+r.URL.RequestURI()+`>; rel="next"`)
			}
			return body
		})
	}
}

func redirect(to string) func(*struck, http.ResponseWriter, *http.Request) {
	return func(_ *struck, w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Location", "http://"+to+r.URL.RequestURI())
		respond(w, r, http.StatusTemporaryRedirect, "text/plain", "")
	}
}

func total(by int) func(*struck, http.ResponseWriter, *http.Request) {
	return func(o *struck, w http.ResponseWriter, r *http.Request) {
		bend(o, w, r, func(h http.Header, body []byte) []byte {
			announce(h, by)
			return body
		})
	}
}

// anonymous loses the credential on the way.
func anonymous(o *struck, w http.ResponseWriter, r *http.Request) {
	r.Header.Del("Authorization")
	o.ServeHTTP(w, r)
}

// lock is what a stranger does who mistypes the password of the same user.
func lock(o *struck, w http.ResponseWriter, r *http.Request) {
	o.origin.(*harborOrigin).lock()
	o.ServeHTTP(w, r)
}

func vanish(o *struck, w http.ResponseWriter, r *http.Request) {
	if o.first {
		o.vanish()
	}
	o.ServeHTTP(w, r)
}
