package api

import (
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/retainwise/millrace/serve/internal/limit"
)

// route is one operation. Its pattern is also its label in metrics and its path in the OpenAPI document. To add a route,
// add it to routes.go and openapi.yaml.
type route struct {
	Method  string
	Pattern string // the path, with at most one segment in braces, which matches any value
	handle  func(*server, *request) error
	Limit   limit.Class
	Open    bool          // needs no token
	session bool          // needs the token of a session: access keys are refused
	Asset   bool          // part of a page, not of the API
	probe   bool          // asked by load balancers, for themselves
	page    bool          // opened by people, from links that mails and searches extend: other parameters are ignored
	Body    bool          // takes a body
	timeout time.Duration // of the request's context; 0 means ControlTimeout
	Params  []string      // the query parameters; others are refused
	Fields  []string      // the parameters that may also be fields of a form, before its file; others are refused
}

// scope is the scope that an access key needs for the route.
func (r *route) scope() string {
	switch r.Method {
	case http.MethodGet:
		return scopeRead
	case http.MethodDelete:
		return scopeDelete
	}
	return scopeWrite
}

const (
	// ControlTimeout is the timeout of requests that neither send nor receive a file.
	ControlTimeout = 10 * time.Second
	uploadTimeout  = time.Hour
)

// lookup finds the route for a method and a path, and the value of the segment in braces. The path is compared without
// decoding; a trailing slash is ignored. HEAD matches GET. If only the method is wrong, allow lists the allowed ones.
func lookup(routes []route, method, path string) (found *route, value string, allow []string) {
	path = withoutSlash(path)
	for i := range routes {
		r := &routes[i]
		v, ok := matchPath(r.Pattern, path)
		if !ok {
			continue
		}
		if r.Method == method || r.Method == http.MethodGet && method == http.MethodHead {
			return r, v, nil
		}
		allow = append(allow, r.Method)
		if r.Method == http.MethodGet {
			allow = append(allow, http.MethodHead)
		}
	}
	if allow != nil {
		allow = append(allow, http.MethodOptions)
		slices.Sort(allow)
	}
	return nil, "", allow
}

// withoutSlash removes one trailing slash from a path other than "/".
func withoutSlash(path string) string {
	if len(path) > 1 {
		return strings.TrimSuffix(path, "/")
	}
	return path
}

// matchPath compares a path with a pattern; the segment in braces stands for any one segment that is not empty.
func matchPath(pattern, path string) (value string, ok bool) {
	before, rest, braces := strings.Cut(pattern, "{")
	if !braces {
		return "", pattern == path
	}
	_, after, _ := strings.Cut(rest, "}")
	if !strings.HasPrefix(path, before) || !strings.HasSuffix(path, after) || len(path) < len(before)+len(after) {
		return "", false
	}
	value = path[len(before) : len(path)-len(after)]
	if value == "" || strings.Contains(value, "/") {
		return "", false
	}
	return value, true
}
