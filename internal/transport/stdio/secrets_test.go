//go:build unix

package stdio

import "testing"

// TestSecretsAreHidden in whatever a server says of itself.
func TestSecretsAreHidden(t *testing.T) {
	d := New(Params{Secrets: []string{"hunter2-secret", "hunter2-secret-and-more", "short", ""}})
	for in, want := range map[string]string{
		"token hunter2-secret refused":  "token ••• refused",
		"x=hunter2-secret-and-more;y=1": "x=•••;y=1",
		"short words stay":              "short words stay",
	} {
		if got := d.hide.Replace(in); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
