package mcp

// Methods that the house routes or answers.
const (
	Initialize          = "initialize"
	Ping                = "ping"
	Discover            = "server/discover"
	ToolsList           = "tools/list"
	ToolsCall           = "tools/call"
	PromptsGet          = "prompts/get"
	ResourcesRead       = "resources/read"
	SubscriptionsListen = "subscriptions/listen"

	NoteInitialized      = "notifications/initialized"
	NoteCancelled        = "notifications/cancelled"
	NoteProgress         = "notifications/progress"
	NoteMessage          = "notifications/message"
	NoteToolsListChanged = "notifications/tools/list_changed"
	NoteAcknowledged     = "notifications/subscriptions/acknowledged"
)

// Keys of _meta that speak of one hop only (2026-07-28, basic, `_meta`).
const (
	MetaVersion       = "io.modelcontextprotocol/protocolVersion"
	MetaClientInfo    = "io.modelcontextprotocol/clientInfo"
	MetaClientCaps    = "io.modelcontextprotocol/clientCapabilities"
	MetaLogLevel      = "io.modelcontextprotocol/logLevel"
	MetaSubscription  = "io.modelcontextprotocol/subscriptionId"
	MetaServerInfo    = "io.modelcontextprotocol/serverInfo"
	MetaProgressToken = "progressToken"
)

// HopMeta lists the _meta keys that are rewritten at each hop; every other key passes.
var HopMeta = [...]string{MetaVersion, MetaClientInfo, MetaClientCaps, MetaLogLevel, MetaSubscription, MetaServerInfo, MetaProgressToken}
