package api

import (
	"fmt"
	"html/template"
	"regexp"
	"strings"

	"go.yaml.in/yaml/v3"
)

// namedRoute finds a route in a sentence: "GET /models lists the models", "the page at / offers it".
var namedRoute = regexp.MustCompile(`\b(GET|POST|PUT|DELETE|page at) (/(?:[A-Za-z0-9{}/._-]*[A-Za-z0-9}])?)`)

// linkRoutes returns a sentence with a link at each route that it names: to the route itself if a browser can open it
// without a token, else to its description.
func (s *server) linkRoutes(sentence, root string) (template.HTML, error) {
	described, err := s.descriptions()
	if err != nil {
		return "", err
	}
	var text strings.Builder
	rest := sentence
	for {
		at := namedRoute.FindStringSubmatchIndex(rest)
		if at == nil {
			break
		}
		name, method, path := rest[at[0]:at[1]], rest[at[2]:at[3]], rest[at[4]:at[5]]
		if method == "page at" {
			method = get
		}
		text.WriteString(template.HTMLEscapeString(rest[:at[0]]))
		if target := s.linkTo(method, path, described); target == "" {
			text.WriteString(template.HTMLEscapeString(name))
		} else {
			fmt.Fprintf(&text, `<a href="%s">%s</a>`, template.HTMLEscapeString(root+target), template.HTMLEscapeString(name))
		}
		rest = rest[at[1]:]
	}
	text.WriteString(template.HTMLEscapeString(rest))
	return template.HTML(text.String()), nil // #nosec G203 -- every piece is escaped above
}

// linkTo returns the address of a route for a browser, relative to the root; empty if the API has no such route.
func (s *server) linkTo(method, path string, described map[string]string) string {
	for i := range s.routes {
		r := &s.routes[i]
		if r.Method != method || r.Pattern != path {
			continue
		}
		if r.Open && method == get && !strings.Contains(path, "{") {
			return "." + path
		}
		return described[method+" "+path]
	}
	return ""
}

// readDescriptions returns where the pages of the API's document describe each operation, by "GET /models".
func readDescriptions() (map[string]string, error) {
	var doc struct {
		Paths map[string]map[string]yaml.Node
	}
	if err := yaml.Unmarshal(openAPI, &doc); err != nil {
		return nil, fmt.Errorf("read API document: %w", err)
	}
	links := map[string]string{}
	for path, item := range doc.Paths {
		for method, node := range item {
			var operation struct {
				ID   string `yaml:"operationId"`
				Tags []string
			}
			if node.Kind != yaml.MappingNode { // the parameters of all operations
				continue
			}
			if err := node.Decode(&operation); err != nil {
				return nil, fmt.Errorf("read API document: %s %s: %w", method, path, err)
			}
			if len(operation.Tags) > 0 {
				links[strings.ToUpper(method)+" "+path] = "docs#/" + operation.Tags[0] + "/" + operation.ID
			}
		}
	}
	return links, nil
}
