package serve_test

import (
	"archive/zip"
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/retainwise/millrace/engine"
	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/admin"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/internal/plan"
	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// churn opens a version of a copy of telecom, which differs from others in its bundle.yaml. comment makes another content of
// the same version.
func churn(t *testing.T, name, version, comment string) *engine.Bundle {
	t.Helper()
	dir := filepath.Join(t.TempDir(), name)
	serve.WriteBundle(t, dir, "name: telecom\nversion: '1'", fmt.Sprintf("name: %s\nversion: '%s' # %s", name, version, comment))
	b, err := engine.OpenBundleKept(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func archiveOf(t *testing.T, b *engine.Bundle) []byte {
	t.Helper()
	archive, err := b.Archive()
	if err != nil {
		t.Fatal(err)
	}
	return archive
}

// operator sends requests to an admin listener.
type operator struct {
	*testing.T
	url string
}

func (o operator) send(method, path string, body io.Reader) answer {
	o.Helper()
	req, err := http.NewRequest(method, o.url+path, body)
	if err != nil {
		o.Fatal(err)
	}
	req.Header.Set(admin.OperatorHeader, "yes")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		o.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		o.Fatal(err)
	}
	return answer{status: resp.StatusCode, header: resp.Header, body: text}
}

// push sends an archive; want is the code of its refusal, empty for none.
func (o operator) push(archive []byte, want string) map[string]any {
	o.Helper()
	return o.ended(o.send(http.MethodPost, "/models", bytes.NewReader(archive)), want)
}

// change sends a change of the catalog.
func (o operator) change(method, path, want string) map[string]any {
	o.Helper()
	return o.ended(o.send(method, path, nil), want)
}

func (o operator) ended(r answer, want string) map[string]any {
	o.Helper()
	v := r.object(o.T)
	code := ""
	if e, ok := v["error"].(map[string]any); ok {
		code = e["code"].(string)
	}
	if code != want || (r.status == http.StatusOK) != (want == "") {
		o.Fatalf("%d %s, want %q", r.status, r.body, want)
	}
	return v
}

func (o operator) alias(alias, ref string) {
	o.Helper()
	o.change(http.MethodPost, "/model-aliases/"+alias+"?model="+url.QueryEscape(ref), "")
}

// versions lists the pushed versions with their states: "churn@1 active".
func (o operator) versions() (list []string) {
	o.Helper()
	for _, v := range o.send(http.MethodGet, "/models", nil).want(o.T, http.StatusOK).object(o.T)["versions"].([]any) {
		v := v.(map[string]any)
		list = append(list, fmt.Sprintf("%s@%s %s", v["model"], v["version"], v["state"]))
	}
	return list
}

// startCatalog starts an API and an admin listener on one catalog.
func startCatalog(t *testing.T, change func(*api.Parts)) (*testAPI, operator) {
	t.Helper()
	var kept *plan.KeptModels
	var log *slog.Logger
	a := startAPI(t, func(_ *api.Config, p *api.Parts) {
		if change != nil {
			change(p)
		}
		kept = plan.NewKeptModels(plan.KeptParts{
			Registry: p.Models, Models: p.Store.Models, Objects: p.Objects, Metrics: p.Metrics, Log: p.Log,
		})
		p.Kept, log = kept, p.Log
	})
	listener := startAdminWith(t, admin.Parts{Store: a.store, Metrics: a.metrics, Models: a.models, Kept: kept, Log: log})
	return a, operator{t, listener.url}
}

// scoredBy is the model that a file without a prediction is scored with: "telecom 1".
func (a *testAPI) scoredBy(query, text string) string {
	a.t.Helper()
	v := a.post("/score"+query, text, header("Accept", "application/json")).want(a.t, http.StatusOK).object(a.t)
	return fmt.Sprintf("%s %s", v["model"], v["model_version"])
}

// A pushed model can be named at once by its version, and its name by the first push. What files without a model get does
// not change, whether their header fits the pushed model as well as the one in use or better.
func TestPush_ChangesNoDefault(t *testing.T) {
	a, o := startCatalog(t, nil)
	before := a.scoredBy("", telecom)
	first := o.push(archiveOf(t, churn(t, "mine", "1", "")), "")
	if first["existed"] != false || first["new_alias"] != "mine" || first["state"] != "active" {
		t.Errorf("%v", first)
	}
	for _, version := range []string{"2", "3"} {
		if v := o.push(archiveOf(t, churn(t, "mine", version, "")), ""); v["new_alias"] != nil {
			t.Errorf("version %s: %v", version, v)
		}
	}
	o.push(archiveOf(t, churn(t, "telecom", "2", "")), "") // the name of a baseline
	for query, want := range map[string]string{
		"": before, "?model=telecom": "telecom 1", "?model=telecom@1": "telecom 1", "?model=telecom:2": "telecom 2",
		"?model=mine": "mine 1", "?model=mine@2": "mine 2", "?model=mine:3": "mine 3", "?model=saas": "saas 2",
	} {
		if got := a.scoredBy(query, telecom); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	e := a.post("/score?model=mine@9", telecom).wantError(t, http.StatusNotFound, "ERR-1701")
	if !strings.Contains(e.Error.Message, "saas, telecom, mine, mine@1, mine@2, mine@3 and telecom@2") {
		t.Errorf("%s", e.Error.Message)
	}
	id := a.upload(telecom, func(r *http.Request) { r.URL.RawQuery = "model=mine@2" })
	if v := a.get("/predictions/" + id).object(t); v["model"] != "mine" || v["model_version"] != "2" {
		t.Errorf("%v %v", v["model"], v["model_version"])
	}
}

// The same bundle again is the same version, also when its archive was lost: then it is stored anew.
func TestPush_Idempotent(t *testing.T) {
	a, o := startCatalog(t, nil)
	b := churn(t, "mine", "1", "")
	first := o.push(archiveOf(t, b), "")
	again := o.push(archiveOf(t, b), "")
	if again["existed"] != true || again["sha256"] != first["sha256"] || again["new_alias"] != nil {
		t.Errorf("%v", again)
	}
	if keys := storetest.Keys(t, a.objects, objects.ModelsPrefix); len(keys) != 1 {
		t.Errorf("stored as %v", keys)
	}
	if err := a.objects.Delete(t.Context(), objects.Refused, storetest.Keys(t, a.objects, objects.ModelsPrefix)[0]); err != nil {
		t.Fatal(err)
	}
	if got := o.versions(); !slices.Equal(got, []string{"mine@1 missing"}) {
		t.Errorf("%v", got)
	}
	if again := o.push(archiveOf(t, b), ""); again["existed"] != true {
		t.Errorf("%v", again)
	}
	if got := o.versions(); !slices.Equal(got, []string{"mine@1 active"}) {
		t.Errorf("%v", got)
	}
}

// A bundle that fails a check is refused with its reason, and nothing of it is stored.
func TestPush_Refused(t *testing.T) {
	a, o := startCatalog(t, nil)
	good := archiveOf(t, churn(t, "mine", "1", ""))
	edited := func(name string, edit func([]byte) []byte) []byte {
		t.Helper()
		in, err := zip.NewReader(bytes.NewReader(good), int64(len(good)))
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		w := zip.NewWriter(&out)
		for _, f := range in.File {
			r, err := f.Open()
			if err != nil {
				t.Fatal(err)
			}
			content, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			if f.Name == name {
				content = edit(content)
			}
			file, _ := w.Create(f.Name)
			if _, err := file.Write(content); err != nil {
				t.Fatal(err)
			}
		}
		if err := w.Close(); err != nil {
			t.Fatal(err)
		}
		return out.Bytes()
	}
	half := func(b []byte) []byte { return b[:len(b)/2] }
	for name, tt := range map[string]struct {
		archive      []byte
		code, reason string
	}{
		"no archive":     {[]byte("tree"), "ERR-1706", "no archive"},
		"empty":          {nil, "ERR-1706", "no archive"},
		"cut":            {half(good), "ERR-1706", "no archive"},
		"a damaged file": {edited("model.txt", half), "ERR-1706", "model.txt has another sha256"},
		"no manifest":    {edited("manifest.sha256", func([]byte) []byte { return nil }), "ERR-1706", "is not listed"},
		"unpacks to too much": {
			edited("MODEL_CARD.md", func([]byte) []byte { return make([]byte, 321<<20) }), "ERR-1708", "an archive of",
		},
	} {
		t.Run(name, func(t *testing.T) {
			o := operator{t, o.url}
			v := o.push(tt.archive, tt.code)
			if text := v["error"].(map[string]any)["message"].(string); !strings.Contains(text, tt.reason) {
				t.Errorf("%s", text)
			}
		})
	}
	random := bytes.Repeat([]byte{0}, len(good))
	for i := range 40 { // one byte of the archive changed, anywhere
		copy(random, good)
		random[i*len(good)/40] ^= 0x55
		r := o.send(http.MethodPost, "/models", bytes.NewReader(random))
		if r.status == http.StatusOK && r.object(t)["sha256"] != churn(t, "mine", "1", "").SHA256() {
			t.Errorf("byte %d: %s", i*len(good)/40, r.body)
		}
	}
	large, err := http.NewRequest(http.MethodPost, o.url+"/models", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	large.Body, large.ContentLength = io.NopCloser(io.LimitReader(zeros{}, 400<<20)), 400<<20
	large.Header.Set(admin.OperatorHeader, "yes")
	large.Header.Set("Expect", "100-continue")
	resp, err := http.DefaultClient.Do(large)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusRequestEntityTooLarge {
		t.Errorf("too large: %d", resp.StatusCode)
	}

	o.push(good, "")
	stored := len(storetest.Keys(t, a.objects, objects.ModelsPrefix))
	for _, b := range []*engine.Bundle{churn(t, "mine", "1", "edited"), churn(t, "telecom", "1", "edited")} {
		v := o.push(archiveOf(t, b), "ERR-1710")
		text := v["error"].(map[string]any)["message"].(string)
		if !strings.Contains(text, b.Name()+" version 1") || !strings.Contains(text, b.SHA256()) {
			t.Errorf("%s", text)
		}
	}
	o.push(archiveOf(t, churn(t, "mine", "a b", "")), "ERR-1709")
	if keys := storetest.Keys(t, a.objects, objects.ModelsPrefix); len(keys) != stored {
		t.Errorf("stored %v", keys)
	}
}

// zeros is an endless file.
type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// Aliases and defaults decide where they say so, and the narrowest default counts.
func TestAliasesAndDefaults(t *testing.T) {
	a, o := startCatalog(t, nil)
	for _, version := range []string{"1", "2"} {
		o.push(archiveOf(t, churn(t, "mine", version, "")), "")
	}
	a.get("/models").want(t, http.StatusOK) // makes the user known
	o.alias("champion", "mine@1")
	o.change(http.MethodPost, "/model-defaults?model=champion&dataset=north", "")
	o.change(http.MethodPost, "/model-defaults?model=mine@2&user=owner", "")
	o.change(http.MethodPost, "/model-defaults?model=mine@2&user=stranger", "ERR-1302")
	o.change(http.MethodPost, "/model-defaults?model=unknown", "ERR-1701")
	north := func(a *testAPI, options ...option) string {
		v := a.post("/upload?dataset=north", telecom, options...).want(t, http.StatusOK).object(t)
		return fmt.Sprintf("%s %s", v["model"], v["model_version"])
	}
	want := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %s, want %s", what, got, want)
		}
	}
	other := as(a.token("other"))
	want("alias", a.scoredBy("?model=champion", telecom), "mine 1")
	want("of the user", a.scoredBy("", telecom), "mine 2")
	want("of the user before the dataset", north(a), "mine 2")
	want("of the dataset", north(a, other), "mine 1")
	want("of nobody", fmt.Sprint(a.post("/upload", telecom, other).object(t)["model"]), "telecom")
	o.alias("champion", "mine@2")
	want("a default moves with its alias", north(a, other), "mine 2")
	want("a name beside the default", a.scoredBy("?model=telecom", telecom), "telecom 1")
	a.post("/upload", withoutContract).wantError(t, http.StatusBadRequest, "ERR-1004")

	if v := o.change(http.MethodPost, "/model-aliases/champion/rollback", ""); v["model"] != "mine@1" || v["before"] != "mine@2" {
		t.Errorf("%v", v)
	}
	want("rolled back", a.scoredBy("?model=champion", telecom), "mine 1")
	o.change(http.MethodPost, "/model-aliases/champion/rollback", "ERR-1713")
	o.change(http.MethodPost, "/model-aliases/unknown/rollback", "ERR-1701")
	o.change(http.MethodPost, "/model-aliases/Champion?model=mine@1", "ERR-1302")
	o.change(http.MethodDelete, "/model-aliases/champion", "ERR-1713") // a default names it

	o.change(http.MethodPost, "/models/mine@2/retire", "ERR-1713") // a default names it
	o.change(http.MethodPost, "/models/champion/retire", "ERR-1713")
	o.change(http.MethodPost, "/models/telecom/retire", "ERR-1713") // of the program
	id := a.upload(telecom, func(r *http.Request) { r.URL.RawQuery = "model=mine@2" })
	o.change(http.MethodDelete, "/model-defaults?user=owner", "")
	o.change(http.MethodDelete, "/model-defaults?user=owner", "ERR-1701")
	o.change(http.MethodPost, "/models/mine@2/retire", "")
	a.post("/upload?model=mine@2", telecom).wantError(t, http.StatusGone, "ERR-1711")
	a.work()
	waitFor(t, "a prediction accepted before", func() bool {
		return a.get("/predictions/" + id).object(t)["status"] == "completed"
	})
	v := o.push(archiveOf(t, churn(t, "mine", "2", "")), "")
	if v["existed"] != true || v["state"] != "retired" {
		t.Errorf("%v", v)
	}
	o.change(http.MethodPost, "/models/mine@2/retire?undo=true", "")
	want("active again", a.scoredBy("?model=mine:2", telecom), "mine 2")

	// An alias with the name of a model in use stands for it, also where the header decides.
	o.push(archiveOf(t, churn(t, "telecom", "2", "")), "")
	o.alias("telecom", "telecom@2")
	want("by the header", fmt.Sprint(a.post("/upload", telecom, other).object(t)["model_version"]), "2")
	o.change(http.MethodDelete, "/model-aliases/telecom", "")
	want("by the header", fmt.Sprint(a.post("/upload", telecom, other).object(t)["model_version"]), "1")
	o.alias("stable", "telecom@1") // of the program: stored, so that all processes have it
	o.alias("latest", "stable")
	want("a model of the program", a.scoredBy("?model=latest", telecom), "telecom 1")

	page := a.get("/models").want(t, http.StatusOK).object(t)
	var shown []string
	for _, m := range page["models"].([]any) {
		m := m.(map[string]any)
		shown = append(shown, fmt.Sprintf("%s %s %v %d", m["name"], m["version"], m["aliases"], len(m["versions"].([]any))))
	}
	if want := []string{"saas 2 [] 0", "telecom 1 [latest stable] 2", "mine 1 [champion mine] 2"}; !slices.Equal(shown, want) {
		t.Errorf("models %q, want %q", shown, want)
	}
	if len(page["aliases"].([]any)) != 4 {
		t.Errorf("%v", page["aliases"])
	}
	for _, line := range []string{ // each change once
		`"msg":"model pushed","model":"mine","version":"2"`, `"msg":"alias set","alias":"champion","model":"mine@2"`,
		`"msg":"alias rolled back","alias":"champion","model":"mine@1"`, `"msg":"default model set","model":"champion"`,
		`"msg":"model retired","model":"mine@2"`, `"msg":"alias removed","alias":"telecom","model":""`,
	} {
		if !strings.Contains(a.log.String(), line) {
			t.Errorf("not logged: %s", line)
		}
	}
	one := a.get("/models/mine@2").want(t, http.StatusOK).object(t)
	if one["version"] != "2" || one["links"].(map[string]any)["template"] != "/models/mine@2/template.csv" {
		t.Errorf("%v %v", one["version"], one["links"])
	}
	a.get("/models/champion/template.csv").want(t, http.StatusOK)
	a.get("/models/mine@7").wantError(t, http.StatusNotFound, "ERR-1701")
}

// A header that several models in use fit equally, or that only pushed ones fit, names them.
func TestAmbiguousHeaderNamesCandidates(t *testing.T) {
	registry, err := engine.NewRegistry(churn(t, "one", "1", ""), churn(t, "two", "1", ""))
	if err != nil {
		t.Fatal(err)
	}
	a, o := startCatalog(t, func(p *api.Parts) { p.Models = registry })
	e := a.post("/upload", telecom).wantError(t, http.StatusUnprocessableEntity, "ERR-1707")
	if got := fmt.Sprint(e.Error.Details["candidates"]); got != "[one two]" {
		t.Errorf("candidates %s", got)
	}
	o.push(archiveOf(t, churn(t, "three", "1", "")), "")
	e = a.post("/upload", telecom).wantError(t, http.StatusUnprocessableEntity, "ERR-1707")
	if got := fmt.Sprint(e.Error.Details["candidates"]); got != "[one two]" {
		t.Errorf("candidates %s", got)
	}
	dir := filepath.Join(t.TempDir(), "plain")
	serve.WriteBundle(t, dir, "name: telecom", "name: plain")
	a, o = startCatalog(t, nil)
	a.post("/upload", withoutContract).wantError(t, http.StatusBadRequest, "ERR-1004")
	optional, err := os.ReadFile(filepath.Join(dir, "bundle.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	i := strings.Index(string(optional), "name: Contract")
	text := string(optional)[:i] + strings.Replace(string(optional)[i:], "required: true", "required: false", 1)
	source, err := os.ReadFile("../engine/baseline/telecom/bundle.yaml")
	if err != nil {
		t.Fatal(err)
	}
	serve.WriteBundle(t, dir, string(source), text)
	b, err := engine.OpenBundleKept(os.DirFS(dir))
	if err != nil {
		t.Fatal(err)
	}
	o.push(archiveOf(t, b), "")
	e = a.post("/upload", withoutContract).wantError(t, http.StatusUnprocessableEntity, "ERR-1707")
	if got := fmt.Sprint(e.Error.Details["candidates"]); got != "[plain@1]" {
		t.Errorf("candidates %s", got)
	}
}
