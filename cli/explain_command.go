package cli

import (
	"fmt"

	"github.com/retainwise/millrace/serve/codes"
)

// explainCommand prints what is published of an error code, as the server does at /errors.
type explainCommand struct {
	Code string `arg:"" optional:"" help:"Error code, such as ERR-1653 or 1653 (default: list all codes)."`
}

// Run prints the page of a code, or the list of all codes.
func (c *explainCommand) Run(std Streams) error {
	if c.Code == "" {
		t := table{}
		for _, page := range codes.Pages() {
			t.add(page.Code, page.Title)
		}
		_, err := fmt.Fprint(std.Out, t.leftAligned())
		return err
	}
	page, ok := codes.PageOf(c.Code)
	if !ok {
		return Usage("there is no error code %q: millrace explain lists all", c.Code)
	}
	_, err := fmt.Fprint(std.Out, page.Code+" "+page.Title+"\n\n"+wrapped("  ", page.Message)+"\nWhat you can do\n"+
		wrapped("  ", page.Advice)+"\n"+wrapped("", kindOf(page)))
	return err
}

// kindOf returns where a code appears and whether to try again.
func kindOf(page codes.Page) string {
	switch n := page.Code[len("ERR-"):]; {
	case page.Reserved != "":
		return "Reserved: nothing is answered with this code. " + page.Reserved
	case n >= "1600" && n < "1650":
		return "A reason why a row is rejected. The other rows are scored."
	case n >= "1650" && n < "1700":
		return "A remark on rows that are scored."
	case page.Status == 0:
		return "The error of a model or of a prediction."
	case page.Retryable:
		return fmt.Sprintf("An error of the API with HTTP status %d. The same request may succeed later.", page.Status)
	}
	return fmt.Sprintf("An error with HTTP status %d in the API. The same request gives the same answer again.", page.Status)
}
