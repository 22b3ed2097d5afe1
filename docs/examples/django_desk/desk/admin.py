"""The admin: conversations with their lines; dead letters and others are those of ConnectyCube."""

from django.contrib import admin

from .models import Conversation, Line


class NotAdded:
    """No button "Add": conversations and lines come from the chat."""

    def has_add_permission(self, request, obj=None):
        return False


class LineInline(NotAdded, admin.TabularInline):
    """The lines of a conversation, to read."""

    model = Line
    extra = 0
    fields = readonly_fields = ["at", "is_answer", "agent", "text"]
    can_delete = False


@admin.register(Conversation)
class ConversationAdmin(NotAdded, admin.ModelAdmin):
    """Conversations, open and closed."""

    list_display = ["name", "agent", "opened", "closed"]
    list_filter = ["agent", "closed"]
    search_fields = ["name", "lines__text"]
    inlines = [LineInline]
