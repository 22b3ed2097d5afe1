"""The addresses of the site."""

from django.contrib import admin
from django.contrib.auth.views import LoginView, LogoutView
from django.templatetags.static import static
from django.urls import path
from django.views.generic import RedirectView

from . import views

urlpatterns = [
    path("", views.customer, name="customer"),
    path("chat/", views.customer_chat, name="customer-chat"),
    path("desk/", views.agents, name="agents"),
    path("desk/conversations/", views.conversations, name="conversations"),
    path("desk/<int:pk>/", views.agents, name="conversation"),
    path("desk/<int:pk>/chat/", views.conversation, name="conversation-chat"),
    path("desk/<int:pk>/take/", views.take, name="take"),
    path("desk/<int:pk>/close/", views.close, name="close"),
    path("login/", LoginView.as_view(template_name="desk/login.html"), name="login"),
    path("logout/", LogoutView.as_view(), name="logout"),
    path("admin/", admin.site.urls),
    path("favicon.ico", RedirectView.as_view(url=static("desk/icon.svg"))),
]
