"""The pages of customers and agents, and the JSON for which both ask each second."""

import secrets

from django.contrib.admin.views.decorators import staff_member_required
from django.contrib.auth import get_user_model
from django.core.exceptions import BadRequest
from django.http import JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils import timezone
from django.views.decorators.http import require_POST

from connectycube import ConnectyCubeError
from connectycube.contrib.django import get_client, send
from connectycube.contrib.django.models import ChatAccount

from .models import Conversation, Line

LONGEST = 2_000


def customer(request):
    """Show the page of a customer."""
    return render(request, "desk/customer.html")


def customer_chat(request):
    """Return the lines of a customer; a POST writes to the desk, through the chat of the customer."""
    if request.method == "POST":
        try:
            desk = get_client().user.id
            message = send(desk, text_of(request), as_user=user_of(request, make=True))
        except ConnectyCubeError as error:
            return JsonResponse({"error": str(error)}, status=503)
        return JsonResponse({"id": message.id})
    user = user_of(request)
    account = user and ChatAccount.objects.filter(user=user).first()
    return lines(request, conversation__customer=account.chat_id if account else None)


def user_of(request, make=False):
    """Return the user who is logged in, or the guest of this session: None before the first message."""
    if request.user.is_authenticated:
        return request.user
    users = get_user_model().objects
    guest = users.filter(pk=request.session.get("guest")).first()
    if guest is None and make:
        number = secrets.token_hex(3)
        guest = users.create_user(f"guest-{number}", first_name="Guest", last_name=number)
        request.session["guest"] = guest.pk
    return guest


def text_of(request):
    """Return what somebody wrote."""
    text = request.POST.get("text", "").strip()
    if not 0 < len(text) <= LONGEST:
        raise BadRequest(f"a message has 1 to {LONGEST} characters")
    return text


def lines(request, **which):
    """Return the lines that the page does not have yet."""
    after = request.GET.get("after", "0")
    found = Line.objects.filter(pk__gt=int(after) if after.isdecimal() else 0, **which)
    return JsonResponse(
        {"lines": [line.shown() for line in found.select_related("agent", "conversation")]}
    )


# --- agents ---


@staff_member_required(login_url="login")
def agents(request, pk=None):
    """Show the open conversations, and one of them."""
    chosen = get_object_or_404(Conversation, pk=pk) if pk else None
    return render(request, "desk/agents.html", {"conversation": chosen})


@staff_member_required(login_url="login")
def conversations(request):
    """Return the open conversations."""
    found = Conversation.objects.filter(closed=None).select_related("agent")
    return JsonResponse({"conversations": [each.shown() for each in found]})


@staff_member_required(login_url="login")
def conversation(request, pk):
    """Return the lines of a conversation; a POST answers, if it is the agent's and open."""
    if request.method != "POST":
        return lines(request, conversation=pk)
    mine = get_object_or_404(Conversation, pk=pk, agent=request.user, closed=None)
    return JsonResponse({"id": mine.write(text_of(request), agent=request.user).message_id})


@staff_member_required(login_url="login")
@require_POST
def take(request, pk):
    """Take a conversation that nobody has; of two agents at once one gets it."""
    Conversation.objects.filter(pk=pk, agent=None, closed=None).update(agent=request.user)
    return redirect("conversation", pk)


@staff_member_required(login_url="login")
@require_POST
def close(request, pk):
    """Close a conversation; the customer's next message opens another one."""
    Conversation.objects.filter(pk=pk, agent=request.user).update(closed=timezone.now())
    return redirect("agents")
