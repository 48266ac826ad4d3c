package era

import (
	"slices"

	"mcpgateway/internal/rawjson"
)

// AllQuestions are the capabilities that a shared connection declares: every question that
// some client may be able to answer. Whether the one that is asked can is seen then.
const AllQuestions = `{` + questions + `}`

// AllQuestionsAndRoots is the same where the gateway itself says what the roots are.
const AllQuestionsAndRoots = `{` + questions + `,"roots":{}}`

const questions = `"elicitation":{"form":{},"url":{}},"sampling":{"context":{},"tools":{}}`

// Cut gives of an object only the named members, as they are. It is nil where there are
// none.
func Cut(object []byte, keep ...string) []byte {
	var drop []rawjson.Edit
	kept := 0
	for f := range rawjson.Members(object) {
		key, ok := rawjson.Text(f.Key)
		if ok && slices.Contains(keep, key) {
			kept++
		} else if ok {
			drop = append(drop, rawjson.Edit{Key: key})
		}
	}
	switch {
	case kept == 0:
		return nil
	case drop == nil:
		return object
	}
	return rawjson.AppendEdited(nil, object, drop...)
}
