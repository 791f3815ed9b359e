package serve_test

import (
	"fmt"
	"io"
	"net/http"
	"regexp"
	"strings"
	"sync"
	"testing"
)

// TestServer_NoDataLeaksBetweenRequests runs many users at once over kept connections, each with a word of its own in everything
// it sends, and looks for words of others in every answer. Slices of a request that outlive it would show them.
func TestServer_NoDataLeaksBetweenRequests(t *testing.T) {
	a := startAPI(t, nil)
	a.work()
	words := regexp.MustCompile(`canary-\d{4}x`)
	var wg sync.WaitGroup
	for user := range 24 {
		wg.Go(func() {
			word := fmt.Sprintf("canary-%04dx", user)
			check := func(r answer) answer {
				for _, found := range words.FindAllString(fmt.Sprint(r.header)+string(r.body), -1) {
					if found != word {
						t.Errorf("%s sees %s", word, found)
					}
				}
				return r
			}
			client := &caller{url: a.url, token: a.token(word), id: word}
			for range 4 {
				text := strings.ReplaceAll(telecom, "A-", word+"-")
				r := check(client.do(t, http.MethodPost, "/upload?filename="+word+".csv", text))
				if r.status != http.StatusOK || !strings.Contains(string(r.body), `"filename":"`+word+`.csv"`) {
					t.Errorf("%s: %d %.200s", word, r.status, r.body)
					return
				}
				path := r.object(t)["links"].(map[string]any)["self"].(string)
				for _, rest := range []string{"", "/rows", "/download", "/rejects"} {
					if r := check(client.do(t, http.MethodGet, path+rest, "")); r.status != http.StatusOK {
						t.Errorf("%s%s: %d", word, rest, r.status)
					}
				}
				check(client.do(t, http.MethodGet, "/predictions", ""))
				check(client.do(t, http.MethodGet, "/models/"+word, ""))
				check(client.do(t, http.MethodGet, "/predictions?"+word+"=1", ""))
			}
		})
	}
	wg.Wait()
}

// caller is a user with an id for requests.
type caller struct{ url, token, id string }

func (c *caller) do(t *testing.T, method, path, body string) answer {
	t.Helper()
	req, _ := http.NewRequest(method, c.url+path, strings.NewReader(body))
	req.Header.Set("Authorization", c.token)
	req.Header.Set("X-Request-Id", c.id)
	req.Header.Set("Prefer", "wait=30")
	if body != "" {
		req.Header.Set("Content-Type", "text/csv")
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
		return answer{}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Errorf("%s %s: %v", method, path, err)
	}
	return answer{resp.StatusCode, resp.Header, text, resp.Close}
}
