package admin

import (
	"encoding/json"
	"net"
	"net/http"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/storefault"
	"github.com/retainwise/millrace/store"
)

// OperatorHeader must be in every request that changes something, with any value. No form and no link of a page sends it,
// and a script of another origin may not.
const OperatorHeader = "Millrace-Operator"

// guard passes on the requests that no foreign page can have made a browser send: those to a host of this listener
// (a page's own name may lead here, by DNS rebinding), not from another site, and with [OperatorHeader] if they change
// something.
func (a *Admin) guard(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		reads := req.Method == http.MethodGet || req.Method == http.MethodHead
		var refused *fault.Failure
		switch {
		case !a.isOwnHost(req):
			refused = fault.Fail(fault.CodeNotAllowed, "This listener does not answer under that host. Use a loopback address, the "+
				"address that it listens on, or a name in MILLRACE_ADMIN_HOSTS.")
		case isForeign(req.Header) && !(reads && isFollowedLink(req.Header)):
			refused = fault.Fail(fault.CodeNotAllowed, "Pages of other sites may not use this listener.")
		case !reads && req.Header.Get(OperatorHeader) == "":
			refused = fault.Fail(fault.CodeNotAllowed, "Send the header '"+OperatorHeader+": yes', which no form of a page can send.").
				With(fault.Details{"field": OperatorHeader})
		}
		if refused != nil {
			a.answer(w, req, nil, refused)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// isForeign reports whether a browser says that a page of another site made it send a request.
func isForeign(h http.Header) bool {
	site := h.Get("Sec-Fetch-Site")
	return site != "" && site != "same-origin" && site != "none"
}

// isFollowedLink reports whether a browser follows a link to this listener, as from the list of targets of Prometheus: what
// the answer has is shown, and no page can read it.
func isFollowedLink(h http.Header) bool {
	return h.Get("Sec-Fetch-Mode") == "navigate" && h.Get("Sec-Fetch-Dest") == "document"
}

// isOwnHost reports whether a request is to a loopback address, to the address that the connection came in on, or to a
// configured host.
func (a *Admin) isOwnHost(req *http.Request) bool {
	host := req.Host
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.ToLower(strings.TrimSuffix(strings.Trim(host, "[]"), "."))
	if host == "localhost" || slices.Contains(a.Hosts, host) {
		return true
	}
	ip, err := netip.ParseAddr(host)
	if err != nil {
		return false
	}
	ip = ip.Unmap().WithZone("")
	local, ok := req.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr)
	return ip.IsLoopback() || ok && ip == local.AddrPort().Addr().Unmap().WithZone("")
}

// programName answers in place of the command line of package pprof, which may have secrets in its flags.
func programName(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte(os.Args[0])) // #nosec G705 -- plain text, to the operator who named the program
}

// failureView is why an attempt failed, without what a customer wrote: the sentence is the code's own, and there are no
// details.
type failureView struct {
	Code      string `json:"code"`
	Stage     string `json:"stage"`
	Chunk     int64  `json:"chunk,omitempty"`
	Message   string `json:"message"`
	Permanent bool   `json:"permanent,omitempty"`
}

func newFailureView(f store.Failure) failureView {
	v := failureView{Code: f.Code, Stage: f.Stage, Chunk: f.Chunk, Permanent: f.Permanent}
	switch code, ok := fault.ParseCode(f.Code); {
	case ok:
		v.Message = code.Message()
	case f.Code == "": // the database's own sentence on a worker that vanished
		v.Message = f.Message
	}
	return v
}

// answer writes a value or an error as JSON.
func (a *Admin) answer(w http.ResponseWriter, req *http.Request, v any, err error) {
	status, mediaType := http.StatusOK, fault.TypeJSON
	var text []byte
	if err == nil {
		text, err = json.Marshal(v)
	}
	if err != nil {
		f := storefault.ExplainAs(fault.CodeDatabase, err)
		status = f.HTTPStatus()
		text, mediaType = a.pages.Body(f, api.RequestID(nil), req.URL.Path, false)
		a.Log.Warn("admin request", "code", f.Code.String(), "error", err.Error())
	}
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write(text) // #nosec G705 -- JSON, and no browser takes it for anything else
}
