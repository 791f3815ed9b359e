package serve_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"go.yaml.in/yaml/v3"

	"github.com/retainwise/millrace/serve"
)

var update = flag.Bool("update", false, "write generated files anew")

// documentJSON is openapi.yaml as JSON.
func documentJSON() ([]byte, error) {
	text, err := os.ReadFile("internal/api/openapi.yaml")
	if err != nil {
		return nil, err
	}
	var doc any
	if err := yaml.Unmarshal(text, &doc); err != nil {
		return nil, err
	}
	text, err = json.Marshal(doc)
	return append(text, '\n'), err
}

// openAPI is the document, read once.
var openAPI = sync.OnceValues(func() (*openapi3.T, error) {
	text, err := documentJSON()
	if err != nil {
		return nil, err
	}
	doc, err := openapi3.NewLoader().LoadFromData(text)
	if err != nil {
		return nil, err
	}
	return doc, doc.Validate(context.Background())
})

func document(t *testing.T) *openapi3.T {
	t.Helper()
	doc, err := openAPI()
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// TestOpenAPIRoutes compares the routes with the document, both ways, with their parameters and whether they are open.
func TestOpenAPIRoutes(t *testing.T) {
	doc := document(t)
	if doc.Info.Title != "RetainWise Analytics API" {
		t.Errorf("title %q", doc.Info.Title)
	}
	described := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method := range item.Operations() {
			described[method+" "+path] = true
		}
	}
	for _, o := range serve.Operations() {
		name := o.Method + " " + o.Pattern
		if !described[name] {
			t.Errorf("%s is not described", name)
			continue
		}
		delete(described, name)
		item := doc.Paths.Value(o.Pattern)
		op := item.GetOperation(o.Method)
		var params []string
		for _, p := range slices.Concat(item.Parameters, op.Parameters) {
			if p.Value.In == "query" {
				params = append(params, p.Value.Name)
			}
		}
		slices.Sort(params)
		want := slices.Sorted(slices.Values(o.Params))
		if !slices.Equal(params, want) {
			t.Errorf("%s: parameters %v, described %v", name, want, params)
		}
		if open := op.Security != nil && len(*op.Security) == 0; open != o.Open {
			t.Errorf("%s: open %v, described %v", name, o.Open, open)
		}
	}
	for name := range described {
		t.Errorf("%s is described but there is no such route", name)
	}
}

// checkAnswer holds an answer against the document.
func checkAnswer(t *testing.T, method, path string, r answer) {
	t.Helper()
	route, params := describedRoute(t, method, path)
	if route == nil || strings.HasSuffix(path, "//") { // the document's router takes it for an address with one slash
		return
	}
	checkStatus(t, route.Operation, r)
	input := &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{
			Request: &http.Request{Method: method, URL: &url.URL{Path: path}, Header: http.Header{}},
			Route:   route, PathParams: params,
		},
		Status: r.status, Header: r.header,
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}
	if len(r.body) > 0 {
		input.SetBodyBytes(unpack(t, r))
	}
	input.Options.ExcludeResponseBody = method == http.MethodHead
	if contentType := r.header.Get("Content-Type"); !strings.Contains(contentType, "json") || contentType == typeLines {
		input.Options.ExcludeResponseBody = true
	}
	if err := openapi3filter.ValidateResponse(context.Background(), input); err != nil {
		t.Errorf("%s %s: answer %d is not as described: %v", method, path, r.status, err)
	}
}

var describedRouter = sync.OnceValues(func() (routers.Router, error) {
	doc, err := openAPI()
	if err != nil {
		return nil, err
	}
	return legacy.NewRouter(doc)
})

func describedRoute(t *testing.T, method, path string) (*routers.Route, map[string]string) {
	t.Helper()
	router, err := describedRouter()
	if err != nil {
		t.Fatal(err)
	}
	if method == http.MethodHead {
		method = http.MethodGet
	}
	path, _, _ = strings.Cut(path, "?")
	route, params, err := router.FindRoute(&http.Request{Method: method, URL: &url.URL{Path: path}})
	if err != nil {
		return nil, nil
	}
	return route, params
}

func TestOpenAPIIsServed(t *testing.T) {
	a := startAPI(t, nil)
	want, err := documentJSON()
	if err != nil {
		t.Fatal(err)
	}
	if r := a.get("/openapi.json", as("")).want(t, http.StatusOK); !bytes.Equal(r.body, want) {
		t.Error("not the document")
	}
}
