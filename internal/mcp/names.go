package mcp

// Methods that the house routes or answers; those that list stand with their Kind.
const (
	Initialize          = "initialize"
	Ping                = "ping"
	Discover            = "server/discover"
	ToolsCall           = "tools/call"
	PromptsGet          = "prompts/get"
	ResourcesRead       = "resources/read"
	Subscribe           = "resources/subscribe"
	Unsubscribe         = "resources/unsubscribe"
	Completion          = "completion/complete"
	SetLevel            = "logging/setLevel"
	SubscriptionsListen = "subscriptions/listen"
	TasksGet            = "tasks/get"
	TasksUpdate         = "tasks/update"
	TasksCancel         = "tasks/cancel"

	// Questions of servers to clients.
	Elicit        = "elicitation/create"
	CreateMessage = "sampling/createMessage"
	RootsList     = "roots/list"

	NoteInitialized      = "notifications/initialized"
	NoteCancelled        = "notifications/cancelled"
	NoteProgress         = "notifications/progress"
	NoteMessage          = "notifications/message"
	NoteAcknowledged     = "notifications/subscriptions/acknowledged"
	NoteUpdated          = "notifications/resources/updated"
	NoteElicited         = "notifications/elicitation/complete"
	NoteRootsListChanged = "notifications/roots/list_changed"
	NoteTask             = "notifications/tasks"
	NoteTaskStatus       = "notifications/tasks/status"
)

// MayAsk tells whether a server may put questions to the caller while it works on a
// request of this method (2026-07-28, patterns, Multi Round-Trip Requests, Supported
// Requests).
func MayAsk(method string) bool {
	return method == ToolsCall || method == PromptsGet || method == ResourcesRead
}

// Keys of _meta that speak of one hop only (2026-07-28, basic, `_meta`).
const (
	MetaVersion       = "io.modelcontextprotocol/protocolVersion"
	MetaClientInfo    = "io.modelcontextprotocol/clientInfo"
	MetaClientCaps    = "io.modelcontextprotocol/clientCapabilities"
	MetaLogLevel      = "io.modelcontextprotocol/logLevel"
	MetaSubscription  = "io.modelcontextprotocol/subscriptionId"
	MetaServerInfo    = "io.modelcontextprotocol/serverInfo"
	MetaProgressToken = "progressToken"
	MetaRelatedTask   = "io.modelcontextprotocol/related-task" // 2025-11-25, tasks: they do not cross
)

// Extensions that cross the gateway (2026-07-28, versioning, Extension Negotiation): MCP Apps
// (SEP-1865), and tasks (SEP-2663), which the stateful revisions do not have.
const (
	ExtensionUI    = "io.modelcontextprotocol/ui"
	ExtensionTasks = "io.modelcontextprotocol/tasks"
)

// Members of params and results that more than one room reads: those of rounds (2026-07-28,
// patterns, Multi Round-Trip Requests), of elicitations of URLs (2025-11-25, elicitation), and of
// tasks (SEP-2663).
const (
	MemberInputRequests  = "inputRequests"
	MemberInputResponses = "inputResponses"
	MemberRequestState   = "requestState"
	MemberElicitationID  = "elicitationId"
	MemberTaskID         = "taskId"
)

// MetaVia is our own key of _meta: the ids of the gateways that a request has passed.
const MetaVia = "mcp-gateway/via"

// HopMeta lists the _meta keys that are rewritten at each hop; every other key passes.
var HopMeta = [...]string{MetaVersion, MetaClientInfo, MetaClientCaps, MetaLogLevel, MetaSubscription, MetaServerInfo, MetaProgressToken}
